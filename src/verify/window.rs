//! The window behind a volatility, from the returns in `evidence`.

use super::findings::Findings;
use crate::codec::{AlertRecord, EvidenceRecord};
use crate::domain::SessionDate;
use crate::engine::window_view_of;
use crate::estimators::{WINDOW, sample_sigma};

/// The returns of the evidence, oldest first.
pub(super) fn returns(evidence: Option<&[EvidenceRecord]>) -> Vec<f64> {
    evidence.unwrap_or_default().iter().map(|e| e.log_return).collect()
}

/// Recomputes `window` and gives the sample deviation of a whole window.
pub(super) fn check(alert: &AlertRecord, found: &mut Findings) -> Option<f64> {
    let window: Option<Vec<(SessionDate, f64)>> =
        alert.evidence.as_ref().map(|list| list.iter().map(|e| (e.session, e.log_return)).collect());
    let Some(window) = window else {
        found.hold("window", alert.window.is_none(), "known", "null, since there is no evidence");
        return None;
    };
    let rising = window.windows(2).all(|pair| pair[0].0 < pair[1].0);
    let sessions: Vec<String> = window.iter().map(|(s, _)| s.to_string()).collect();
    found.hold("evidence", rising, sessions.clone(), "ascending sessions");
    let is_before = alert.session.is_none_or(|s| window.last().is_none_or(|(last, _)| *last < s));
    found.hold("evidence", is_before, sessions.last().cloned(), "before the session: today is not in its window");
    found.hold("evidence", (1..=WINDOW).contains(&window.len()), window.len(), format!("1 to {WINDOW} returns"));
    let view = window_view_of(&window);
    if let Some(w) = &alert.window {
        found.same("window.n", &w.n, &view.n);
        found.same("window.first", &w.first.to_string(), &view.first.to_string());
        found.same("window.last", &w.last.to_string(), &view.last.to_string());
        found.exact("window.max_abs_return", Some(w.max_abs_return), Some(view.max_abs_return));
        let (echo, of) = (&w.echo, &view.echo);
        found.same("window.echo", &echo.is_some(), &of.is_some());
        if let (Some(echo), Some(of)) = (echo, of) {
            found.same("window.echo.session", &echo.session.to_string(), &of.session.to_string());
            found.exact("window.echo.share", Some(echo.share), Some(of.share));
            found.exact("window.echo.sigma_without", echo.sigma_without, of.sigma_without);
            found.same("window.echo.sessions_left", &echo.sessions_left, &of.sessions_left);
        }
    } else {
        found.differ("window", None::<f64>, "known, since there is evidence");
    }
    let returns: Vec<f64> = window.iter().map(|(_, r)| *r).collect();
    (returns.len() == WINDOW).then(|| sample_sigma(&returns)).flatten()
}
