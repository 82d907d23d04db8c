//! What librdkafka's admin interface has and its Rust wrapper lacks: rights, settings one by one, and what this client
//! may do to the cluster.
#![expect(
    unsafe_code,
    reason = "the wrapper has no ACLs and no incremental alteration; everything unsafe is in this file"
)]

use super::rights::{FoundRights, Operation, Resource, Right};
use rdkafka::ClientContext;
use rdkafka::bindings as rd;
use rdkafka::client::Client;
use std::ffi::{CStr, CString, c_char, c_int};
use std::fmt;
use std::ptr::{self, NonNull};
use std::time::Duration;

/// Something of librdkafka's that is given back when it goes out of scope.
struct Owned<T> {
    at: NonNull<T>,
    destroy: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    /// Takes over what `made` points to, which `destroy` gives back; `None` for nothing.
    fn new(made: *mut T, destroy: unsafe extern "C" fn(*mut T)) -> Option<Self> {
        NonNull::new(made).map(|at| Self { at, destroy })
    }

    fn ptr(&self) -> *mut T {
        self.at.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: `at` came from the constructor that belongs to `destroy`, is owned by this value alone, and is not
        // used after it.
        unsafe { (self.destroy)(self.at.as_ptr()) }
    }
}

/// Text of librdkafka's, copied; empty for none.
///
/// # Safety
/// `text` is null or points to a string that ends in zero and lives until the return.
unsafe fn copied(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as this function asks of its caller.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// An array of librdkafka's as a slice.
///
/// # Safety
/// `first` is null, or points to `count` values that live and stay unchanged for `'a`.
unsafe fn slice<'a, T>(first: *const T, count: usize) -> &'a [T] {
    if first.is_null() || count == 0 {
        return &[];
    }
    // SAFETY: as this function asks of its caller.
    unsafe { std::slice::from_raw_parts(first, count) }
}

fn c_string(text: &str) -> Result<CString, String> {
    CString::new(text).map_err(|_| format!("{text:?} has a zero byte"))
}

/// The text that librdkafka puts into a buffer of the caller's.
struct ErrorText([c_char; 512]);

impl ErrorText {
    fn new() -> Self {
        Self([0; 512])
    }
}

impl fmt::Display for ErrorText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: the buffer begins as zeros, and librdkafka ends what it writes with one.
        f.write_str(&unsafe { copied(self.0.as_ptr()) })
    }
}

/// Sends one admin request and waits for its answer, for twice `wait` at most; an answer that is an error is one.
fn request<C: ClientContext>(
    client: &Client<C>,
    kind: rd::rd_kafka_admin_op_t,
    wait: Duration,
    adjust: impl FnOnce(*mut rd::rd_kafka_AdminOptions_t) -> Result<(), String>,
    send: impl FnOnce(*mut rd::rd_kafka_t, *const rd::rd_kafka_AdminOptions_t, *mut rd::rd_kafka_queue_t),
) -> Result<Owned<rd::rd_kafka_event_t>, String> {
    let millis = |d: Duration| c_int::try_from(d.as_millis()).unwrap_or(c_int::MAX);
    let rk = client.native_ptr();
    // SAFETY: `rk` is the client's handle, which outlives this call.
    let queue = Owned::new(unsafe { rd::rd_kafka_queue_new(rk) }, rd::rd_kafka_queue_destroy);
    let queue = queue.ok_or("no queue")?;
    // SAFETY: as above; `kind` is one of librdkafka's.
    let options = Owned::new(unsafe { rd::rd_kafka_AdminOptions_new(rk, kind) }, rd::rd_kafka_AdminOptions_destroy);
    let options = options.ok_or("no options")?;
    let mut text = ErrorText::new();
    // SAFETY: `options` lives, and the buffer is as long as is said.
    let set = unsafe {
        let (buffer, size) = (text.0.as_mut_ptr(), text.0.len());
        rd::rd_kafka_AdminOptions_set_request_timeout(options.ptr(), millis(wait), buffer, size)
    };
    if set != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Err(text.to_string());
    }
    adjust(options.ptr())?;
    send(rk, options.ptr(), queue.ptr());
    // The request's own time-out comes first; the queue's is there in case it does not.
    // SAFETY: `queue` lives; the event is ours to destroy.
    let event = unsafe { rd::rd_kafka_queue_poll(queue.ptr(), millis(wait * 2)) };
    let event =
        Owned::new(event, rd::rd_kafka_event_destroy).ok_or_else(|| format!("no answer within {:?}", wait * 2))?;
    // SAFETY: `event` lives; its text lives as long, and is copied.
    let (error, why) =
        unsafe { (rd::rd_kafka_event_error(event.ptr()), copied(rd::rd_kafka_event_error_string(event.ptr()))) };
    if error == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR { Ok(event) } else { Err(why) }
}

/// Whether this client may see the rights that there are. librdkafka reads past the refusal of a description of rights,
/// which then looks as if there were none.
pub(super) fn may_describe_rights<C: ClientContext>(client: &Client<C>, wait: Duration) -> Result<bool, String> {
    let with_operations = |options| {
        // SAFETY: `options` lives; an error is ours to destroy.
        let error = unsafe { rd::rd_kafka_AdminOptions_set_include_authorized_operations(options, 1) };
        // SAFETY: the error, if any, lives until it is dropped; its text is copied.
        let told = |error: Owned<_>| Err(unsafe { copied(rd::rd_kafka_error_string(error.ptr())) });
        Owned::new(error, rd::rd_kafka_error_destroy).map_or(Ok(()), told)
    };
    let kind = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECLUSTER;
    let event = request(client, kind, wait, with_operations, |rk, options, queue| {
        // SAFETY: all three live until `request` returns.
        unsafe { rd::rd_kafka_DescribeCluster(rk, options, queue) }
    })?;
    let mut count = 0;
    // SAFETY: the event is the answer to this kind of request; what it holds lives as long, and is only looked at.
    // Operations are read as plain numbers, whatever a broker may send.
    let operations: &[u32] = unsafe {
        let result = rd::rd_kafka_event_DescribeCluster_result(event.ptr());
        if result.is_null() {
            return Err("an answer to another question".into());
        }
        slice(rd::rd_kafka_DescribeCluster_result_authorized_operations(result, &raw mut count).cast(), count)
    };
    Ok(operations.contains(&(rd::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_DESCRIBE as u32)))
}

type Binding = Owned<rd::rd_kafka_AclBinding_t>;

/// The rights of a principal that Kafka has.
pub(super) fn describe_rights<C: ClientContext>(
    client: &Client<C>,
    principal: &str,
    wait: Duration,
) -> Result<FoundRights, String> {
    let name = c_string(principal)?;
    let mut text = ErrorText::new();
    // SAFETY: the strings live until the return, null stands for any, and the buffer is as long as is said.
    let filter = unsafe {
        rd::rd_kafka_AclBindingFilter_new(
            rd::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_ANY,
            ptr::null(),
            rd::rd_kafka_ResourcePatternType_t::RD_KAFKA_RESOURCE_PATTERN_ANY,
            name.as_ptr(),
            ptr::null(),
            rd::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_ANY,
            rd::rd_kafka_AclPermissionType_t::RD_KAFKA_ACL_PERMISSION_TYPE_ANY,
            text.0.as_mut_ptr(),
            text.0.len(),
        )
    };
    let filter: Binding = Owned::new(filter, rd::rd_kafka_AclBinding_destroy).ok_or_else(|| text.to_string())?;
    let kind = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBEACLS;
    let event = request(
        client,
        kind,
        wait,
        |_| Ok(()),
        |rk, options, queue| {
            // SAFETY: all four live until `request` returns; the filter is copied.
            unsafe { rd::rd_kafka_DescribeAcls(rk, filter.ptr(), options, queue) }
        },
    )?;
    let mut count = 0;
    // SAFETY: the event is the answer to this kind of request; what it holds lives as long, and is only looked at.
    let bindings = unsafe {
        let result = rd::rd_kafka_event_DescribeAcls_result(event.ptr());
        if result.is_null() {
            return Err("an answer to another question".into());
        }
        slice(rd::rd_kafka_DescribeAcls_result_acls(result, &raw mut count), count)
    };
    let mut found = FoundRights::default();
    for binding in bindings {
        // SAFETY: each is a binding of the event's, and lives as long.
        unsafe { take_binding(*binding, &mut found) };
    }
    Ok(found)
}

/// Sorts one entry; what allows something that nobody here asks for is passed over.
///
/// # Safety
/// `binding` points to a binding that lives until the return.
unsafe fn take_binding(binding: *const rd::rd_kafka_AclBinding_t, found: &mut FoundRights) {
    // SAFETY: as this function asks of its caller; numbers that librdkafka does not know it has made UNKNOWN, texts are
    // copied.
    let (principal, name, host, resource, pattern, operation, permission) = unsafe {
        (
            copied(rd::rd_kafka_AclBinding_principal(binding)),
            copied(rd::rd_kafka_AclBinding_name(binding)),
            copied(rd::rd_kafka_AclBinding_host(binding)),
            rd::rd_kafka_AclBinding_restype(binding),
            rd::rd_kafka_AclBinding_resource_pattern_type(binding),
            rd::rd_kafka_AclBinding_operation(binding),
            rd::rd_kafka_AclBinding_permission_type(binding),
        )
    };
    if permission == rd::rd_kafka_AclPermissionType_t::RD_KAFKA_ACL_PERMISSION_TYPE_DENY {
        // SAFETY: both give constant strings.
        let (operation, resource) = unsafe {
            (copied(rd::rd_kafka_AclOperation_name(operation)), copied(rd::rd_kafka_ResourceType_name(resource)))
        };
        found.denied.insert(format!("denied {operation} {resource} {name} from host {host}"));
        return;
    }
    let resource = match resource {
        rd::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC => Resource::Topic,
        rd::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_GROUP => Resource::Group,
        rd::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TRANSACTIONAL_ID => Resource::TransactionalId,
        _ => return,
    };
    let operation = match operation {
        rd::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_READ => Operation::Read,
        rd::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_WRITE => Operation::Write,
        rd::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_DESCRIBE => Operation::Describe,
        _ => return,
    };
    let is_prefix = pattern == rd::rd_kafka_ResourcePatternType_t::RD_KAFKA_RESOURCE_PATTERN_PREFIXED;
    // A right from one host alone is not the one that is wanted.
    if host == "*" {
        found.allowed.insert(Right { principal, resource, name, is_prefix, operation });
    }
}

/// Creates rights; for each what is said against it. One that is there stays.
pub(super) fn create_rights<C: ClientContext>(
    client: &Client<C>,
    rights: &[&Right],
    wait: Duration,
) -> Result<Vec<Result<(), String>>, String> {
    let made: Result<Vec<Binding>, String> = rights.iter().map(|right| binding_of(right)).collect();
    let made = made?;
    let mut each: Vec<_> = made.iter().map(Owned::ptr).collect();
    let kind = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_CREATEACLS;
    let event = request(
        client,
        kind,
        wait,
        |_| Ok(()),
        |rk, options, queue| {
            // SAFETY: all live until `request` returns; the bindings are copied.
            unsafe { rd::rd_kafka_CreateAcls(rk, each.as_mut_ptr(), each.len(), options, queue) }
        },
    )?;
    let mut count = 0;
    // SAFETY: the event is the answer to this kind of request; what it holds lives as long, and is only looked at.
    let results = unsafe {
        let result = rd::rd_kafka_event_CreateAcls_result(event.ptr());
        if result.is_null() {
            return Err("an answer to another question".into());
        }
        slice(rd::rd_kafka_CreateAcls_result_acls(result, &raw mut count), count)
    };
    if results.len() != rights.len() {
        return Err(format!("{} answers to {} rights", results.len(), rights.len()));
    }
    let told = |result: &*const rd::rd_kafka_acl_result_t| {
        // SAFETY: each is a result of the event's; its error lives as long, and its text is copied.
        let (error, text) = unsafe {
            let error = rd::rd_kafka_acl_result_error(*result);
            (error, if error.is_null() { String::new() } else { copied(rd::rd_kafka_error_string(error)) })
        };
        if error.is_null() { Ok(()) } else { Err(text) }
    };
    Ok(results.iter().map(told).collect())
}

fn binding_of(right: &Right) -> Result<Binding, String> {
    let (name, principal) = (c_string(&right.name)?, c_string(&right.principal)?);
    let resource = match right.resource {
        Resource::Topic => rd::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC,
        Resource::Group => rd::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_GROUP,
        Resource::TransactionalId => rd::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TRANSACTIONAL_ID,
    };
    let operation = match right.operation {
        Operation::Read => rd::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_READ,
        Operation::Write => rd::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_WRITE,
        Operation::Describe => rd::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_DESCRIBE,
    };
    let pattern = if right.is_prefix {
        rd::rd_kafka_ResourcePatternType_t::RD_KAFKA_RESOURCE_PATTERN_PREFIXED
    } else {
        rd::rd_kafka_ResourcePatternType_t::RD_KAFKA_RESOURCE_PATTERN_LITERAL
    };
    let mut text = ErrorText::new();
    // SAFETY: the strings live until the return and are copied, and the buffer is as long as is said.
    let made = unsafe {
        rd::rd_kafka_AclBinding_new(
            resource,
            name.as_ptr(),
            pattern,
            principal.as_ptr(),
            c"*".as_ptr(),
            operation,
            rd::rd_kafka_AclPermissionType_t::RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW,
            text.0.as_mut_ptr(),
            text.0.len(),
        )
    };
    Owned::new(made, rd::rd_kafka_AclBinding_destroy).ok_or_else(|| format!("{right}: {text}"))
}

/// Sets settings of a topic and leaves the others as they are, or with `is_trial` only asks whether they would be taken.
pub(super) fn alter_settings<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    settings: &[(&str, &str)],
    is_trial: bool,
    wait: Duration,
) -> Result<(), String> {
    let made = alteration_of(topic, settings)?;
    let trial = |options| {
        let mut text = ErrorText::new();
        // SAFETY: `options` lives, and the buffer is as long as is said.
        let set = unsafe {
            let (buffer, size) = (text.0.as_mut_ptr(), text.0.len());
            rd::rd_kafka_AdminOptions_set_validate_only(options, c_int::from(is_trial), buffer, size)
        };
        if set == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR { Ok(()) } else { Err(text.to_string()) }
    };
    let kind = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_INCREMENTALALTERCONFIGS;
    let event = request(client, kind, wait, trial, |rk, options, queue| {
        let mut only = made.ptr();
        // SAFETY: all live until `request` returns; the one resource is copied.
        unsafe { rd::rd_kafka_IncrementalAlterConfigs(rk, &raw mut only, 1, options, queue) }
    })?;
    let mut count = 0;
    // SAFETY: the event is the answer to this kind of request; what it holds lives as long, and is only looked at.
    let results = unsafe {
        let result = rd::rd_kafka_event_IncrementalAlterConfigs_result(event.ptr());
        if result.is_null() {
            return Err("an answer to another question".into());
        }
        slice(rd::rd_kafka_IncrementalAlterConfigs_result_resources(result, &raw mut count), count)
    };
    let [resource] = results else { return Err(format!("{} answers to one question", results.len())) };
    // SAFETY: it is the event's and lives as long; its text is copied.
    let (error, why) = unsafe {
        (rd::rd_kafka_ConfigResource_error(*resource), copied(rd::rd_kafka_ConfigResource_error_string(*resource)))
    };
    if error == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR { Ok(()) } else { Err(why) }
}

fn alteration_of(topic: &str, settings: &[(&str, &str)]) -> Result<Owned<rd::rd_kafka_ConfigResource_t>, String> {
    let name = c_string(topic)?;
    // SAFETY: the string lives until the return and is copied.
    let made =
        unsafe { rd::rd_kafka_ConfigResource_new(rd::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC, name.as_ptr()) };
    let resource =
        Owned::new(made, rd::rd_kafka_ConfigResource_destroy).ok_or_else(|| format!("no resource {topic}"))?;
    for (name, value) in settings {
        let (name, value) = (c_string(name)?, c_string(value)?);
        let set = rd::rd_kafka_AlterConfigOpType_t::RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET;
        // SAFETY: the resource lives, the strings live until the return and are copied; an error is ours to destroy.
        let error = unsafe {
            rd::rd_kafka_ConfigResource_add_incremental_config(resource.ptr(), name.as_ptr(), set, value.as_ptr())
        };
        if let Some(error) = Owned::new(error, rd::rd_kafka_error_destroy) {
            // SAFETY: the error lives until it is dropped; its text is copied.
            return Err(unsafe { copied(rd::rd_kafka_error_string(error.ptr())) });
        }
    }
    Ok(resource)
}
