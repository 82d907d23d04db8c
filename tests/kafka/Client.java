import java.io.BufferedOutputStream;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.*;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.HdrHistogram.Histogram;
import org.HdrHistogram.HistogramLogWriter;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.InvalidReplicationFactorException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.Utils;

/**
 * The far side of the Kafka tests: Apache's own client and a second implementation of the alert rules, sharing no code with the service, so that an
 * error in one of them cannot hide in the other. See README.md for the subcommands.
 */
class Client {
    static final String USAGE = """
            topics   BOOT NAME:PARTITIONS[:compact] ...
            grow     BOOT TOPIC PARTITIONS
            scram    BOOT USER PASSWORD
            describe BOOT TOPIC ...
            set      BOOT TOPIC NAME=VALUE ...
            acls     BOOT
            allow    BOOT PRINCIPAL RESOURCE:NAME:OPERATION ...
            produce  BOOT TOPIC FILE [--rate N] [--partition P] [--transactional] [--batch N] [--abort]
            generate BOOT|- TOPIC|- --count N [--symbols N] [--seed S] [--rate N] [--ticks FILE] [--refs FILE] [--expected FILE] [--metadata MS] [--gates FILE,...] [--other-keys 1]
            consume  BOOT TOPIC [--from-beginning] [--count N] [--timeout SECS] [--until-end] [--values FILE] [--uncommitted]
            latency  BOOT TICK_TOPIC ALERT_TOPIC ECHO_TOPIC [--rate N] [--seconds N] [--warmup SECS] [--drain SECS] [--symbols N] [--seed S] [--out FILE] [--hdr PREFIX] [--relay TOPIC [--relay-transacts]]
            offsets  BOOT GROUP TOPIC
            answer   (the same for each line of standard input, its words separated by tabs)
            hold     BOOT GROUP TOPIC --back N [--seconds N]""";
    static final Set<String> FLAGS = Set.of("transactional", "abort", "from-beginning", "until-end", "uncommitted", "relay-transacts");
    static final Set<String> OPTIONS = Set.of("rate", "partition", "batch", "hdr", "count", "symbols", "seed", "ticks", "refs", "expected", "timeout", "values",
            "seconds", "warmup", "drain", "out", "metadata", "gates", "other-keys", "back", "relay");
    static final long SECOND = 1_000_000_000L;
    /** Wall-clock nanoseconds minus System.nanoTime(), taken once: later steps of the wall clock cannot enter a difference of two times. */
    static final long EPOCH = epochNanos(Instant.now()) - System.nanoTime();

    public static void main(String[] argv) throws Exception {
        System.setProperty("org.slf4j.simpleLogger.defaultLogLevel", "error");
        try {
            Args args = Args.parse(argv);
            switch (args.at(0)) {
                case "topics" -> topics(args);
                case "grow" -> grow(args);
                case "scram" -> scram(args);
                case "describe" -> describe(args);
                case "set" -> set(args);
                case "acls" -> acls(args);
                case "allow" -> allow(args);
                case "produce" -> produce(args);
                case "generate" -> generate(args);
                case "consume" -> consume(args);
                case "latency" -> latency(args);
                case "offsets" -> System.out.println(offsets(args));
                case "answer" -> answer();
                case "hold" -> hold(args);
                default -> throw new IllegalArgumentException("unknown subcommand " + args.at(0));
            }
        } catch (IllegalArgumentException e) {
            System.err.println(e.getMessage() + "\n" + USAGE);
            System.exit(2);
        }
    }

    record Args(List<String> words, Map<String, String> options) {
        static Args parse(String[] argv) {
            Args args = new Args(new ArrayList<>(), new HashMap<>());
            for (int i = 0; i < argv.length; i++) {
                String name = argv[i].startsWith("--") ? argv[i].substring(2) : null;
                if (name == null) args.words.add(argv[i]);
                else if (FLAGS.contains(name)) args.options.put(name, "");
                else if (OPTIONS.contains(name) && i + 1 < argv.length) args.options.put(name, argv[++i]);
                else throw new IllegalArgumentException("unknown option or no value: " + argv[i]);
            }
            return args;
        }

        String at(int i) {
            if (i >= words.size()) throw new IllegalArgumentException("too few arguments");
            return words.get(i);
        }

        boolean has(String name) {
            return options.containsKey(name);
        }

        long number(String name, long otherwise) {
            return has(name) ? Long.parseLong(options.get(name)) : otherwise;
        }

        /** The file that an option names; nothing is written without it. */
        PrintStream file(String name) throws IOException {
            return lines(has(name) ? Files.newOutputStream(Path.of(options.get(name))) : OutputStream.nullOutputStream());
        }
    }

    // ---- topics, produce, consume, offsets

    static void topics(Args args) throws Exception {
        List<NewTopic> topics = new ArrayList<>();
        for (String word : args.words.subList(2, args.words.size())) {
            String[] part = word.split(":");
            if (part.length < 2) throw new IllegalArgumentException("no partition count in " + word);
            NewTopic topic = new NewTopic(part[0], Integer.parseInt(part[1]), (short) 1);
            topics.add(part.length > 2 && part[2].equals("compact") ? topic.configs(Map.of("cleanup.policy", "compact")) : topic);
        }
        List<String> names = topics.stream().map(NewTopic::name).toList();
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", args.at(1)))) {
            admin.createTopics(topics).all().get();
            // The controller answers before the broker knows the leaders; a client that comes too early would see an unknown topic.
            for (int tries = 0; !haveLeaders(admin, names); tries++) {
                if (tries == 300) throw new IllegalStateException("no leaders after 30 s");
                Thread.sleep(100);
            }
        }
    }

    /** More partitions for a topic; keys are hashed anew by producers that have learnt of them. */
    static void scram(Args args) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", args.at(1)))) {
            var known = new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096);
            admin.alterUserScramCredentials(List.of(new UserScramCredentialUpsertion(args.at(2), known, args.at(3)))).all().get();
        }
    }

    static void grow(Args args) throws Exception {
        String topic = args.at(2);
        int partitions = Integer.parseInt(args.at(3));
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", args.at(1)))) {
            // A broker that was too busy to say that it lives counts as gone until it has.
            for (int tries = 0; !increase(admin, topic, partitions); tries++) {
                if (tries == 300) throw new IllegalStateException("no broker for more partitions within 30 s");
                Thread.sleep(100);
            }
            for (int tries = 0; !haveLeaders(admin, List.of(topic)) || count(admin, topic) < partitions; tries++) {
                if (tries == 300) throw new IllegalStateException("not grown after 30 s");
                Thread.sleep(100);
            }
        }
    }

    /** Per topic its partitions, replicas and the settings of its own; one that is not there has null. */
    static void describe(Args args) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", args.at(1)))) {
            Set<String> there = admin.listTopics().names().get();
            for (String topic : args.words.subList(2, args.words.size())) {
                if (!there.contains(topic)) {
                    System.out.println("null");
                    continue;
                }
                var partitions = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions();
                ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
                var entries = admin.describeConfigs(List.of(resource)).all().get().get(resource).entries().stream();
                String settings = entries.filter(e -> e.source() == ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG)
                        .map(e -> Json.quote(e.name()) + ":" + Json.quote(e.value())).sorted().collect(Collectors.joining(","));
                System.out.println("{\"topic\":" + Json.quote(topic) + ",\"partitions\":" + partitions.size() + ",\"replicas\":"
                        + partitions.get(0).replicas().size() + ",\"settings\":{" + settings + "}}");
            }
        }
    }

    static void set(Args args) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", args.at(1)))) {
            List<AlterConfigOp> changes = args.words.subList(3, args.words.size()).stream().map(word -> word.split("=", 2))
                    .map(part -> new AlterConfigOp(new ConfigEntry(part[0], part[1]), AlterConfigOp.OpType.SET)).toList();
            admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.TOPIC, args.at(2)), changes)).all().get();
        }
    }

    /** Every access control entry, a line each. */
    static void acls(Args args) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", args.at(1)))) {
            for (AclBinding acl : admin.describeAcls(AclBindingFilter.ANY).values().get()) {
                var pattern = acl.pattern();
                var entry = acl.entry();
                System.out.println(String.join(" ", entry.permissionType().name(), entry.principal(), entry.host(), entry.operation().name(),
                        pattern.resourceType().name(), pattern.patternType().name(), pattern.name()));
            }
        }
    }

    static void allow(Args args) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", args.at(1)))) {
            List<AclBinding> rights = new ArrayList<>();
            for (String word : args.words.subList(3, args.words.size())) {
                String[] part = word.split(":");
                var entry = new AccessControlEntry(args.at(2), "*", AclOperation.valueOf(part[2]), AclPermissionType.ALLOW);
                rights.add(new AclBinding(new ResourcePattern(ResourceType.valueOf(part[0]), part[1], PatternType.LITERAL), entry));
            }
            admin.createAcls(rights).all().get();
        }
    }

    static boolean increase(Admin admin, String topic, int partitions) throws Exception {
        try {
            admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(partitions))).all().get();
            return true;
        } catch (ExecutionException e) {
            if (e.getCause() instanceof InvalidReplicationFactorException) return false;
            throw e;
        }
    }

    static int count(Admin admin, String topic) throws Exception {
        return admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size();
    }

    static boolean haveLeaders(Admin admin, List<String> names) throws Exception {
        try {
            return admin.describeTopics(names).allTopicNames().get().values().stream()
                    .allMatch(topic -> topic.partitions().stream().allMatch(partition -> partition.leader() != null));
        } catch (java.util.concurrent.ExecutionException e) {
            if (e.getCause() instanceof org.apache.kafka.common.errors.UnknownTopicOrPartitionException) return false;
            throw e;
        }
    }

    static final Pattern SYMBOL = Pattern.compile("\"symbol\"\\s*:\\s*\"([^\"]*)\"");

    static void produce(Args args) throws Exception {
        String topic = args.at(2);
        Integer partition = args.has("partition") ? (Integer) (int) args.number("partition", 0) : null;
        boolean abort = args.has("abort");
        boolean transactional = abort || args.has("transactional");
        long batch = args.number("batch", 1000);
        Pacer pacer = new Pacer(args.number("rate", 0));
        long count = 0;
        try (BufferedReader in = Files.newBufferedReader(Path.of(args.at(3)));
                Sender sender = new Sender(args.at(1), 5, transactional ? "client-" + UUID.randomUUID() : null)) {
            for (String line; (line = in.readLine()) != null; count++) {
                int tab = line.indexOf('\t');
                String value = line.substring(tab + 1);
                Matcher symbol = SYMBOL.matcher(value);
                String key = tab >= 0 ? line.substring(0, tab) : symbol.find() ? symbol.group(1) : null;
                long due = pacer.await(count);
                if (transactional && count % batch == 0) {
                    if (count > 0) sender.end(abort);
                    sender.producer.beginTransaction();
                }
                sender.send(topic, partition, pacer.rate > 0 ? millis(due) : null, key, tab >= 0 && value.isEmpty() ? null : value);
            }
            if (transactional && count > 0) sender.end(abort);
            sender.finish();
        }
        System.out.println("{\"count\":" + count + ",\"elapsed_s\":" + pacer.elapsed() + "}");
    }

    static void consume(Args args) throws Exception {
        long limit = args.number("count", Long.MAX_VALUE);
        long timeout = args.number("timeout", 10) * SECOND;
        long seen = 0, start = 0, last;
        boolean untilEnd = args.has("until-end"), ended = false;
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(args.at(1), args.at(2), args.has("from-beginning"), !args.has("uncommitted"));
                PrintStream out = args.has("values") ? args.file("values") : lines(System.out)) {
            Map<TopicPartition, Long> ends = untilEnd ? consumer.endOffsets(consumer.assignment()) : Map.of();
            System.err.println("ready");
            start = last = System.nanoTime();
            while (seen < limit && !ended && System.nanoTime() - last < timeout) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
                    last = System.nanoTime();
                    boolean late = untilEnd && record.offset() >= ends.get(new TopicPartition(record.topic(), record.partition()));
                    if (late || seen == limit) continue;
                    out.print(line(record, EPOCH + last));
                    seen++;
                }
                out.flush();
                ended = untilEnd && ends.entrySet().stream().allMatch(end -> consumer.position(end.getKey()) >= end.getValue());
            }
        }
        System.err.println("{\"count\":" + seen + ",\"elapsed_s\":" + (System.nanoTime() - start) / 1e9 + "}");
        if (untilEnd && !ended && seen < limit || args.has("count") && !untilEnd && seen < limit) System.exit(1);
    }

    static String line(ConsumerRecord<byte[], byte[]> record, long received) {
        StringBuilder out = new StringBuilder(256);
        out.append("{\"partition\":").append(record.partition()).append(",\"offset\":").append(record.offset());
        out.append(",\"timestamp\":").append(record.timestamp()).append(",\"key\":").append(Json.quote(text(record.key())));
        out.append(",\"received_ns\":").append(received).append(",\"headers\":{");
        String comma = "";
        for (Header header : record.headers()) {
            out.append(comma).append(Json.quote(header.key())).append(':').append(Json.quote(text(header.value())));
            comma = ",";
        }
        String value = text(record.value());
        // Raw line ends can only be white space in JSON, but would split the output line.
        boolean json = value != null && Json.valid(value);
        out.append("},\"value\":").append(json ? value.replace('\n', ' ').replace('\r', ' ') : Json.quote(value));
        return out.append("}\n").toString();
    }

    /** Asks that come often are answered by one process: a start of the machine costs a second of a core. */
    static void answer() throws IOException {
        BufferedReader asked = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = asked.readLine()) != null;) {
            try {
                System.out.println(offsets(Args.parse(line.split("\t"))));
            } catch (Exception e) {
                System.out.println("{\"error\":" + Json.quote(e.toString()) + "}");
            }
            System.out.flush();
        }
    }

    static String offsets(Args args) throws Exception {
        String group = args.at(2), topic = args.at(3);
        StringBuilder out = new StringBuilder("{\"group\":" + Json.quote(group) + ",\"topic\":" + Json.quote(topic) + ",\"partitions\":[");
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", args.at(1)))) {
            int partitions = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size();
            Map<TopicPartition, OffsetSpec> latest = new LinkedHashMap<>();
            for (int p = 0; p < partitions; p++) latest.put(new TopicPartition(topic, p), OffsetSpec.latest());
            var ends = admin.listOffsets(latest).all().get();
            Map<TopicPartition, OffsetAndMetadata> committed = committed(admin, group);
            for (TopicPartition p : latest.keySet()) {
                OffsetAndMetadata offset = committed.get(p);
                out.append(p.partition() == 0 ? "" : ",").append("{\"partition\":").append(p.partition());
                out.append(",\"committed\":").append(offset == null ? null : offset.offset()).append(",\"end\":").append(ends.get(p).offset());
                out.append(",\"metadata\":").append(Json.quote(offset == null ? null : offset.metadata())).append('}');
            }
        }
        return out.append("]}").toString();
    }

    /**
     * What a broker leaves behind that forgot half of a transaction: what was produced in it stands, the group's offsets do not, and a transaction
     * without an end keeps everybody from asking for them. The group must have no members.
     */
    static void hold(Args args) throws Exception {
        String group = args.at(2), topic = args.at(3);
        long back = args.number("back", -1);
        if (back < 0) throw new IllegalArgumentException("hold needs --back");
        Map<TopicPartition, OffsetAndMetadata> earlier = new HashMap<>();
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", args.at(1)))) {
            committed(admin, group).forEach((p, at) -> {
                if (p.topic().equals(topic)) earlier.put(p, new OffsetAndMetadata(Math.max(0, at.offset() - back), Optional.empty(), at.metadata()));
            });
            admin.alterConsumerGroupOffsets(group, earlier).all().get();
        }
        if (args.number("seconds", 10) == 0) {
            System.out.println("held");
            return;
        }
        try (Sender sender = new Sender(args.at(1), 0, "hold-" + group)) {
            sender.producer.beginTransaction();
            sender.producer.sendOffsetsToTransaction(earlier, new ConsumerGroupMetadata(group));
            System.out.println("held");
            Thread.sleep(args.number("seconds", 10) * 1000);
            sender.producer.abortTransaction();
        }
    }

    /** Empty for a group that has never been: to a test that waits for the first commit this is not an error. */
    static Map<TopicPartition, OffsetAndMetadata> committed(Admin admin, String group) throws Exception {
        try {
            return admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
        } catch (java.util.concurrent.ExecutionException e) {
            if (e.getCause() instanceof org.apache.kafka.common.errors.GroupIdNotFoundException) return Map.of();
            throw e;
        }
    }

    // ---- generate, latency

    static void generate(Args args) throws Exception {
        long count = args.number("count", -1);
        if (count < 0) throw new IllegalArgumentException("generate needs --count");
        boolean send = !args.at(1).equals("-");
        Market market = new Market((int) args.number("symbols", 1000), args.number("seed", 1));
        Pacer pacer = new Pacer(args.number("rate", 0));
        long alerts = 0;
        try (PrintStream ticks = args.file("ticks"); PrintStream refs = args.file("refs"); PrintStream expected = args.file("expected");
                Sender sender = send ? new Sender(args.at(1), 5, null, args.number("metadata", 300_000)) : null) {
            market.references().forEach(refs::println);
            long step = Market.step(count);
            String[] gates = args.has("gates") ? args.options.get("gates").split(",") : new String[0];
            int passed = 0;
            for (long i = 0; i < count; i++) {
                Tick tick = market.next(Market.OPEN + i * step);
                if (passed < gates.length && i == count * (passed + 1) / (gates.length + 1)) pacer.pauseUntil(Path.of(gates[passed++]));
                long due = pacer.await(i);
                // Another partitioner from the half on: the next partition of as many.
                Integer partition = send && i >= count / 2 && args.has("other-keys") ? sender.next(args.at(2), tick.symbol) : null;
                if (send) sender.send(args.at(2), partition, pacer.rate > 0 ? millis(due) : null, tick.symbol, tick.json);
                if (args.has("ticks")) ticks.println(tick.json);
                for (Alert alert : tick.alerts) expected.println(alert.json());
                alerts += tick.alerts.size();
            }
            if (send) sender.finish();
        }
        System.out.println("{\"count\":" + count + ",\"alerts\":" + alerts + ",\"elapsed_s\":" + pacer.elapsed() + "}");
    }

    /**
     * Both latencies run from the instant at which the schedule wanted the tick sent, not from the actual send: a sender that falls behind must not
     * make the system look faster. The probe takes the way of the tick through the same producer, and comes back without the service.
     */
    static void latency(Args args) throws Exception {
        String boot = args.at(1), ticks = args.at(2), alerts = args.at(3), echoes = args.at(4);
        long rate = args.number("rate", 20_000), count = rate * args.number("seconds", 30);
        Market market = new Market((int) args.number("symbols", 1000), args.number("seed", 1));
        Map<String, Awaited> awaited = new ConcurrentHashMap<>();
        Samples alertSamples = new Samples(), echoSamples = new Samples(), relaySamples = new Samples();
        boolean relays = args.has("relay");
        String relay = args.options.get("relay");
        boolean transacts = args.has("relay-transacts");
        try (Sender onward = relays ? new Sender(boot, 0, transacts ? relay : null) : null;
                Reader onwardReader = relays ? new Reader(boot, echoes, new Relay(onward, relay, transacts ? echoes : null)) : null;
                Reader relayReader = relays ? new Reader(boot, relay, (value, now) -> relaySamples.add(Long.parseLong(value), now)) : null;
                Reader alertReader = new Reader(boot, alerts, (value, now) -> {
            Awaited a = awaited.get(alertKey(value));
            if (a == null || !a.take()) alertSamples.strangers++;
            else alertSamples.add(a.due, now);
        }); Reader echoReader = new Reader(boot, echoes, (value, now) -> echoSamples.add(Long.parseLong(value), now));
                Sender sender = new Sender(boot, 1, null)) {
            alertReader.begin();
            echoReader.begin();
            if (relays) {
                onwardReader.begin();
                relayReader.begin();
                onward.producer.partitionsFor(relay);
            }
            // The first sends fetch metadata and would come late; a tick outside the schedule is not possible, the service would count it.
            sender.producer.partitionsFor(ticks);
            sender.producer.partitionsFor(echoes);
            long expected = 0, probes = 0, lag = 0;
            Pacer pacer = new Pacer(rate);
            long measured = pacer.start + args.number("warmup", 5) * SECOND;
            for (long i = 0; i < count; i++) {
                long due = pacer.due(i), ts = EPOCH + due;
                Tick tick = market.next(ts);
                if (!tick.alerts.isEmpty()) awaited.put(tick.symbol + '@' + ts, new Awaited(due, tick.alerts.size()));
                pacer.await(i);
                if (due >= measured) lag = Math.max(lag, System.nanoTime() - due);
                sender.send(ticks, null, millis(due), tick.symbol, tick.json);
                if (tick.alerts.isEmpty()) continue;
                expected += tick.alerts.size();
                probes++;
                sender.send(echoes, null, millis(due), null, Long.toString(due));
            }
            sender.finish();
            double elapsed = pacer.elapsed();
            long deadline = System.nanoTime() + args.number("drain", 10) * SECOND;
            while (System.nanoTime() < deadline && (alertSamples.size() < expected || echoSamples.size() < probes)) Thread.sleep(20);
            alertReader.end();
            echoReader.end();
            if (relays) {
                onwardReader.end();
                relayReader.end();
            }
            System.out.printf(Locale.ROOT, "{\"rate\":%d,\"sent\":%d,\"elapsed_s\":%.3f,\"send_lag_max_ms\":%.3f,\"alert\":%s,\"echo\":%s,\"relay\":%s,"
                    + "\"expected\":%d,\"lost\":%d,\"unexpected\":%d,\"echo_lost\":%d}%n", rate, count, elapsed, lag / 1e6, alertSamples.json(measured),
                    echoSamples.json(measured), relays ? relaySamples.json(measured) : "null", expected, expected - alertSamples.size(), alertSamples.strangers, probes - echoSamples.size());
            try (PrintStream out = args.file("out")) {
                out.println("kind,due_ns,latency_ns");
                alertSamples.write("alert", pacer.start, out);
                echoSamples.write("echo", pacer.start, out);
            }
            if (args.has("hdr")) {
                alertSamples.histogram("alert", args.options.get("hdr"), measured);
                echoSamples.histogram("echo", args.options.get("hdr"), measured);
                if (relays) relaySamples.histogram("relay", args.options.get("hdr"), measured);
            }
        }
    }

    static final Pattern EVENT_TIME = Pattern.compile("\"event_time\"\\s*:\\s*(\\d+)");
    static final Pattern ENTITY_ID = Pattern.compile("\"entity\"\\s*:\\s*\\{[^}]*\"id\"\\s*:\\s*\"([^\"]*)\"");

    static String alertKey(String json) {
        Matcher id = ENTITY_ID.matcher(json), time = EVENT_TIME.matcher(json);
        return id.find() && time.find() ? id.group(1) + '@' + time.group(1) : "";
    }

    /** The alerts that one tick must still bring: two when it changes sign at full height, which closes one episode and opens another. */
    static final class Awaited {
        final long due;
        private int left;

        Awaited(long due, int left) {
            this.due = due;
            this.left = left;
        }

        synchronized boolean take() {
            return left-- > 0;
        }
    }

    static final class Samples {
        private final List<long[]> pairs = new ArrayList<>();
        volatile long strangers; // written by one reader only

        synchronized void add(long due, long now) {
            pairs.add(new long[] {due, now - due});
        }

        synchronized int size() {
            return pairs.size();
        }

        synchronized String json(long since) {
            long[] sorted = pairs.stream().filter(pair -> pair[0] >= since).mapToLong(pair -> pair[1]).sorted().toArray();
            return String.format(Locale.ROOT, "{\"n\":%d,\"p50_ms\":%s,\"p99_ms\":%s,\"p999_ms\":%s,\"max_ms\":%s}", sorted.length,
                    quantile(sorted, 0.5), quantile(sorted, 0.99), quantile(sorted, 0.999), quantile(sorted, 1));
        }

        /** Nearest rank. */
        private static String quantile(long[] sorted, double q) {
            if (sorted.length == 0) return "null";
            return String.format(Locale.ROOT, "%.3f", sorted[(int) Math.ceil(q * sorted.length) - 1] / 1e6);
        }

        /** An HdrHistogram log of nanoseconds to three digits: PREFIX-KIND.hlog. */
        synchronized void histogram(String kind, String prefix, long since) throws IOException {
            Histogram histogram = new Histogram(3600 * SECOND, 3);
            pairs.stream().filter(pair -> pair[0] >= since).forEach(pair -> histogram.recordValue(Math.max(0, pair[1])));
            histogram.setTag(kind);
            try (PrintStream out = lines(Files.newOutputStream(Path.of(prefix + "-" + kind + ".hlog")))) {
                HistogramLogWriter writer = new HistogramLogWriter(out);
                writer.outputLogFormatVersion();
                writer.outputLegend();
                writer.outputIntervalHistogram(histogram);
            }
        }

        synchronized void write(String kind, long start, PrintStream out) {
            for (long[] pair : pairs) out.println(kind + ',' + (pair[0] - start) + ',' + pair[1]);
        }
    }

    interface Arrival {
        void at(String value, long now);

        /** Before and after those of one poll; `next` is the offset behind the last. */
        default void begin() {}

        default void end(long next) {}
    }

    /** Sends on what arrives; of a topic with one partition also in transactions, one a poll, with the offsets in them. */
    record Relay(Sender onward, String to, String transactedFrom) implements Arrival {
        @Override
        public void at(String value, long now) {
            onward.send(to, null, null, null, value);
        }

        @Override
        public void begin() {
            if (transactedFrom != null) onward.producer.beginTransaction();
        }

        @Override
        public void end(long next) {
            if (transactedFrom == null) return;
            onward.producer.sendOffsetsToTransaction(Map.of(new TopicPartition(transactedFrom, 0), new OffsetAndMetadata(next)), new ConsumerGroupMetadata("relay of " + transactedFrom));
            onward.producer.commitTransaction();
        }
    }

    /** A consumer on a thread of its own, from the present end of a topic. */
    static final class Reader implements AutoCloseable {
        private final Thread thread;
        private final CountDownLatch ready = new CountDownLatch(1);
        private final AtomicReference<Throwable> failure = new AtomicReference<>();
        private volatile boolean stop;

        Reader(String boot, String topic, Arrival arrival) {
            thread = new Thread(() -> {
                try (KafkaConsumer<byte[], byte[]> consumer = consumer(boot, topic, false, true)) {
                    ready.countDown();
                    while (!stop) {
                        ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(100));
                        if (records.isEmpty()) continue;
                        long next = 0;
                        arrival.begin();
                        for (ConsumerRecord<byte[], byte[]> record : records) {
                            if (record.value() != null) arrival.at(text(record.value()), System.nanoTime());
                            next = record.offset() + 1;
                        }
                        arrival.end(next);
                    }
                } catch (Throwable e) {
                    failure.set(e);
                } finally {
                    ready.countDown();
                }
            }, "reader of " + topic);
        }

        void begin() throws InterruptedException {
            thread.start();
            ready.await();
            if (failure.get() != null) throw new IllegalStateException(failure.get());
        }

        void end() {
            close();
            if (failure.get() != null) throw new IllegalStateException(failure.get());
        }

        @Override
        public void close() {
            stop = true;
            try {
                thread.join();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
    }

    // ---- the market: ticks, and the alerts they must cause

    record Alert(String kind, String symbol, long ts, int tier, double z) {
        String json() {
            return "{\"kind\":\"" + kind + "\",\"symbol\":\"" + symbol + "\",\"ts\":" + ts + ",\"tier\":" + tier + ",\"z\":" + decimal(Math.round(z * 1e4)) + "}";
        }
    }

    record Tick(String symbol, String json, List<Alert> alerts) {}

    /**
     * Every symbol's z is a mean-reverting walk around 0. Now and then a shock pulls it out, in one leap or in steps so that tiers are passed one by
     * one, and fades. java.util.Random because its sequence is specified: a seed means the same market everywhere.
     */
    static final class Market {
        static final long OPEN = 1_737_988_200 * SECOND; // 2025-01-27T14:30:00Z
        static final long USABLE = 23_000 * SECOND; // the session ends at 21:00Z, 23,400 s later
        static final double SIGMA = 0.02;
        static final int[] TIERS = {3, 4, 6, 8, 10};
        static final double CLOSE = 2.5;
        /** Far more than two implementations of the logarithm can differ, far less than a step of the price. */
        static final double CLEARANCE = 1e-6;

        private final Random random;
        private final String[] symbol;
        private final long[] reference; // prices are whole numbers of 1/10000, so that the text and the double agree
        private final double[] walk, pull;
        private final long[] seq;
        private final int[] tier; // highest of the open episode, 0 without one
        private final boolean[] up;

        Market(int symbols, long seed) {
            random = new Random(~seed);
            symbol = new String[symbols];
            reference = new long[symbols];
            walk = new double[symbols];
            pull = new double[symbols];
            seq = new long[symbols];
            tier = new int[symbols];
            up = new boolean[symbols];
            Random references = new Random(seed); // apart from the ticks: more symbols leave the first ones unchanged
            for (int s = 0; s < symbols; s++) {
                symbol[s] = String.format("S%05d", s);
                reference[s] = 200_000 + references.nextInt(4_800_001);
            }
        }

        static long step(long count) {
            return count <= USABLE / 20_000_000 ? 20_000_000 : USABLE / count;
        }

        Stream<String> references() {
            return java.util.stream.IntStream.range(0, symbol.length).mapToObj(s -> "{\"type\":\"reference\",\"symbol\":\"" + symbol[s]
                    + "\",\"prev_close\":" + decimal(reference[s]) + ",\"sigma_daily\":" + SIGMA + "}");
        }

        Tick next(long ts) {
            int s = random.nextInt(symbol.length);
            move(s);
            long price = Math.round(reference[s] * Math.exp(walk[s] * SIGMA));
            while (isDelicate(z(s, price))) price++;
            String json = "{\"type\":\"tick\",\"symbol\":\"" + symbol[s] + "\",\"ts\":" + ts + ",\"price\":" + decimal(price) + ",\"size\":"
                    + 100 * (1 + random.nextInt(10)) + ",\"seq\":" + ++seq[s] + "}";
            return new Tick(symbol[s], json, judge(s, ts, z(s, price)));
        }

        private void move(int s) {
            if (random.nextDouble() < 0.0016) {
                pull[s] = (random.nextBoolean() ? 1 : -1) * Math.min(14, 3 - 2.5 * Math.log(1 - random.nextDouble()));
                if (random.nextInt(4) == 0) walk[s] = pull[s];
            } else if (tier[s] > 0 && random.nextInt(40) == 0) {
                pull[s] = -pull[s];
                walk[s] = -walk[s];
            }
            pull[s] *= 0.9;
            if (Math.abs(pull[s]) < 1) pull[s] = 0;
            walk[s] += (pull[s] == 0 ? 0.1 : 0.5) * (pull[s] - walk[s]) + 0.25 * random.nextGaussian();
        }

        private double z(int s, long price) {
            return Math.log((price / 1e4) / (reference[s] / 1e4)) / SIGMA;
        }

        /** Near a threshold, a change of sign, or the middle between two values of four decimals: there the last bit would decide. */
        private static boolean isDelicate(double z) {
            double height = Math.abs(z), rounding = height * 1e4;
            boolean near = height < CLEARANCE || Math.abs(height - CLOSE) < CLEARANCE;
            for (int t : TIERS) near |= Math.abs(height - t) < CLEARANCE;
            return near || Math.abs(rounding - Math.floor(rounding) - 0.5) < CLEARANCE * 1e4;
        }

        /** Moves the episode of a symbol by one tick. The tier of a `close` is the highest that its episode reached. */
        private List<Alert> judge(int s, long ts, double z) {
            int reached = 0;
            for (int t : TIERS) if (Math.abs(z) >= t) reached = t;
            if (tier[s] == 0 && reached == 0) return List.of();
            List<Alert> alerts = new ArrayList<>(2);
            if (tier[s] > 0 && (Math.abs(z) <= CLOSE || up[s] != z > 0)) {
                alerts.add(new Alert("close", symbol[s], ts, tier[s], z));
                tier[s] = 0;
            }
            if (reached > tier[s]) {
                alerts.add(new Alert(tier[s] == 0 ? "open" : "escalate", symbol[s], ts, reached, z));
                tier[s] = reached;
                up[s] = z > 0;
            }
            return alerts;
        }
    }

    // ---- shared

    /** Open loop: the times are fixed at the start. Whoever is late sends at once and skips nothing. Rate 0 means without pause. */
    static final class Pacer {
        final long start = System.nanoTime();
        final long rate;
        private long paused;

        Pacer(long rate) {
            this.rate = rate;
        }

        long due(long i) {
            return start + paused + i / rate * SECOND + i % rate * SECOND / rate;
        }

        /** The schedule stands still until there is such a file. */
        void pauseUntil(Path file) throws InterruptedException {
            long from = System.nanoTime();
            while (!Files.exists(file)) {
                if (System.nanoTime() - from > 300 * SECOND) throw new IllegalStateException(file + " does not come");
                Thread.sleep(50);
            }
            paused += System.nanoTime() - from;
        }

        long await(long i) {
            if (rate == 0) return System.nanoTime();
            long due = due(i);
            for (long wait; (wait = due - System.nanoTime()) > 0;) LockSupport.parkNanos(wait);
            return due;
        }

        double elapsed() {
            return (System.nanoTime() - start) / 1e9;
        }
    }

    /** A producer that remembers the first error, which Kafka reports after the call. */
    static final class Sender implements AutoCloseable {
        final KafkaProducer<byte[], byte[]> producer;
        private final AtomicReference<Exception> failure = new AtomicReference<>();

        Sender(String boot, int linger, String transactionalId) {
            this(boot, linger, transactionalId, 300_000);
        }

        /** `metadata`: how old the number of partitions that it goes by may be, in ms. */
        Sender(String boot, int linger, String transactionalId, long metadata) {
            Map<String, Object> config = new HashMap<>(Map.of("bootstrap.servers", boot, "acks", "all", "enable.idempotence", true,
                    "linger.ms", linger, "batch.size", 1 << 17, "buffer.memory", 1L << 26, "metadata.max.age.ms", metadata));
            if (transactionalId != null) config.put("transactional.id", transactionalId);
            producer = new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
            if (transactionalId != null) producer.initTransactions();
        }

        void send(String topic, Integer partition, Long timestamp, String key, String value) {
            producer.send(new ProducerRecord<>(topic, partition, timestamp, bytes(key), bytes(value)), (metadata, e) -> {
                if (e != null) failure.compareAndSet(null, e);
            });
        }

        /** The partition behind the one that the default partitioner gives a key. */
        int next(String topic, String key) {
            int count = producer.partitionsFor(topic).size();
            return (Utils.toPositive(Utils.murmur2(bytes(key))) + 1) % count;
        }

        /** Flushed first even to abort: an abort drops what is still in the buffer, and the tests want aborted records in the log. */
        void end(boolean abort) {
            producer.flush();
            if (abort) producer.abortTransaction();
            else producer.commitTransaction();
        }

        void finish() {
            producer.flush();
            if (failure.get() != null) throw new IllegalStateException("send failed", failure.get());
        }

        @Override
        public void close() {
            producer.close();
        }
    }

    /** All partitions of a topic without a group, positioned before the return: nothing that is written afterwards is missed. */
    static KafkaConsumer<byte[], byte[]> consumer(String boot, String topic, boolean fromBeginning, boolean committed) {
        Map<String, Object> config = Map.of("bootstrap.servers", boot, "isolation.level", committed ? "read_committed" : "read_uncommitted",
                "enable.auto.commit", false, "auto.offset.reset", "none", "allow.auto.create.topics", false);
        KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        List<TopicPartition> partitions = consumer.partitionsFor(topic).stream().map(p -> new TopicPartition(topic, p.partition())).toList();
        if (partitions.isEmpty()) throw new IllegalStateException("no topic " + topic);
        consumer.assign(partitions);
        if (fromBeginning) consumer.seekToBeginning(partitions);
        else consumer.seekToEnd(partitions);
        partitions.forEach(consumer::position);
        return consumer;
    }

    static PrintStream lines(OutputStream out) {
        return new PrintStream(new BufferedOutputStream(out, 1 << 16), false, StandardCharsets.UTF_8);
    }

    static byte[] bytes(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }

    static String text(byte[] bytes) {
        return bytes == null ? null : new String(bytes, StandardCharsets.UTF_8);
    }

    static long epochNanos(Instant time) {
        return time.getEpochSecond() * SECOND + time.getNano();
    }

    static long millis(long nanoTime) {
        return (EPOCH + nanoTime) / 1_000_000;
    }

    /** A number of 1/10000 as text. */
    static String decimal(long units) {
        String digits = Long.toString(10_000 + Math.abs(units) % 10_000);
        return (units < 0 ? "-" : "") + Math.abs(units) / 10_000 + '.' + digits.substring(1);
    }

    /** Just enough JSON: is a text one JSON value (to print it as it is), and a text as a JSON string. */
    static final class Json {
        private static final Pattern SCALAR = Pattern.compile(
                "\"(?:[^\"\\\\\\x00-\\x1f]|\\\\(?:[\"\\\\/bfnrt]|u[0-9a-fA-F]{4}))*+\"|-?(?:0|[1-9]\\d*)(?:\\.\\d+)?(?:[eE][+-]?\\d+)?|true|false|null");
        private static final int DEEPEST = 100;
        private final String text;
        private final Matcher scalar;
        private int at;

        private Json(String text) {
            this.text = text;
            scalar = SCALAR.matcher(text);
        }

        static boolean valid(String text) {
            Json json = new Json(text);
            return json.value(0) && json.peek() == 0 && json.at == text.length();
        }

        /** The next character that is not white space, 0 at the end. */
        private char peek() {
            while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) at++;
            return at < text.length() ? text.charAt(at) : 0;
        }

        private boolean accept(char wanted) {
            if (peek() != wanted) return false;
            at++;
            return true;
        }

        private boolean scalar() {
            peek();
            if (!scalar.region(at, text.length()).lookingAt()) return false;
            at = scalar.end();
            return true;
        }

        private boolean value(int depth) {
            boolean object = accept('{');
            if (!object && !accept('[')) return scalar();
            char end = object ? '}' : ']';
            if (accept(end)) return true;
            do {
                if (object && !(peek() == '"' && scalar() && accept(':')) || depth == DEEPEST || !value(depth + 1)) return false;
            } while (accept(','));
            return accept(end);
        }

        static String quote(String text) {
            if (text == null) return "null";
            StringBuilder out = new StringBuilder(text.length() + 2).append('"');
            for (char c : text.toCharArray()) {
                if (c == '"' || c == '\\') out.append('\\').append(c);
                else if (c < 0x20 || Character.isSurrogate(c)) out.append(String.format("\\u%04x", (int) c));
                else out.append(c);
            }
            return out.append('"').toString();
        }
    }
}
