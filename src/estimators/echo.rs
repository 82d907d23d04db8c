//! How much of a window is the echo of its largest return.

use super::moments::sample_sigma;
use crate::domain::{EchoView, SessionDate};

/// The largest return of a window, and what the window would be without it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct WindowEcho {
    /// Session of the return that is largest in size; of equals the newest.
    pub session: SessionDate,
    /// That return.
    pub log_return: f64,
    /// Its square over the sum of the window's squares (means not removed): from 1 / n to 1.
    pub share: f64,
    /// Sample standard deviation of the others; `None` when there is only one.
    pub sigma_without: Option<f64>,
    /// Sessions with a known return until the first whose window does not hold it: 1 (the next one) for
    /// the oldest return, n for the newest.
    pub sessions_left: usize,
}

impl WindowEcho {
    /// What an alert says of it.
    pub fn view(&self) -> EchoView {
        let Self { session, share, sigma_without, sessions_left, .. } = *self;
        EchoView { session, share, sigma_without, sessions_left }
    }
}

/// Looks for the echo in the returns of a window, oldest first.
///
/// A share near 1 / n is an even window; a share of a half says that one day makes the ruler, and that
/// the ruler will shrink when that day drops out, though nothing happens then. `None` when the window is empty
/// or has not moved at all. O(n).
pub fn window_echo(window: &[(SessionDate, f64)]) -> Option<WindowEcho> {
    let sizes = window.iter().map(|(_, r)| r.abs()).enumerate();
    let (at, size) = sizes.max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    let squares: f64 = window.iter().map(|(_, r)| r * r).sum();
    if squares <= 0.0 {
        return None;
    }
    let (session, log_return) = window[at];
    let others: Vec<f64> = window.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, (_, r))| *r).collect();
    Some(WindowEcho {
        session,
        log_return,
        share: size * size / squares,
        sigma_without: sample_sigma(&others),
        sessions_left: at + 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(returns: &[f64]) -> Vec<(SessionDate, f64)> {
        (0..).zip(returns).map(|(day, r)| (SessionDate::from_days(day).unwrap(), *r)).collect()
    }

    #[test]
    fn one_shock_among_twenty_calm_days() {
        let mut returns: Vec<f64> = (0..21).map(|i| if i % 2 == 0 { 0.01 } else { -0.01 }).collect();
        returns[15] = -0.06;
        let echo = window_echo(&window(&returns)).unwrap();
        assert_eq!((echo.session, echo.log_return), (SessionDate::from_days(15).unwrap(), -0.06));
        // 36 of 36 + 20.
        assert!((echo.share - 36.0 / 56.0).abs() < 1e-15);
        // Eleven up, nine down: sqrt((20 - 4/20) / 19) per cent.
        assert!((echo.sigma_without.unwrap() / (0.01 * (19.8_f64 / 19.0).sqrt()) - 1.0).abs() < 1e-14);
        assert_eq!(echo.sessions_left, 16);
    }

    #[test]
    fn it_drops_out_when_it_says_so() {
        let mut series: Vec<f64> = (0..60).map(|i| 1e-3 * f64::from(i * 7 % 11)).collect();
        series[20] = 0.2;
        for moved in 0..=21 {
            let echo = window_echo(&window(&series[moved..moved + 21])).unwrap();
            if moved == 21 {
                assert!(echo.log_return < 0.1);
            } else {
                assert_eq!((echo.log_return.to_bits(), echo.sessions_left), (0.2_f64.to_bits(), 21 - moved));
            }
        }
    }

    #[test]
    fn empty_still_single_and_equal() {
        assert_eq!(window_echo(&[]), None);
        assert_eq!(window_echo(&window(&[0.0; 21])), None);
        // So small that their squares are nothing.
        assert_eq!(window_echo(&window(&[1e-200; 21])), None);
        let single = window_echo(&window(&[-0.02])).unwrap();
        assert_eq!((single.share, single.sigma_without, single.sessions_left), (1.0, None, 1));
        let equal = window_echo(&window(&[0.02, -0.02, 0.02, 0.01])).unwrap();
        assert_eq!(equal.session, SessionDate::from_days(2).unwrap());
    }
}
