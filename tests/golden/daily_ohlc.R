# Range-based volatilities by R's TTR. Called by daily_modes.py:
#
#   Rscript tests/golden/daily_ohlc.R IN.csv OUT.csv
#
# IN: symbol,session,open,high,low,close on one split basis, by symbol and session.
# OUT: symbol,session and daily (N = 1) volatilities over the 21 bars that end with the session.
# `close` is TTR's close-to-close with n = 22, because its window of n closes has n - 1 returns.
suppressMessages(library(TTR))
arguments <- commandArgs(trailingOnly = TRUE)
prices <- read.csv(arguments[1])
one <- function(rows) {
  ohlc <- as.matrix(rows[, c("open", "high", "low", "close")])
  over <- function(calc, n = 21) as.numeric(volatility(ohlc, n = n, calc = calc, N = 1))
  data.frame(
    symbol = rows$symbol, session = rows$session,
    close = over("close", 22),
    parkinson = over("parkinson"),
    garman_klass = over("garman.klass"),
    garman_klass_gap = over("gk.yz"),
    rogers_satchell = over("rogers.satchell"),
    yang_zhang = over("yang.zhang")
  )
}
out <- do.call(rbind, lapply(split(prices, prices$symbol), one))
out[, -(1:2)] <- lapply(out[, -(1:2)], function(x) ifelse(is.na(x), "", sprintf("%.17g", x)))
write.csv(out, arguments[2], row.names = FALSE, quote = FALSE)
cat(R.version.string, "TTR", as.character(packageVersion("TTR")), "\n")
