//! Numbers by their value, exactly: `90`, `90.0` and `9e1` are one number, and none passes through a float.
//!
//! A sender's JSON library decides how a whole number is spelt, so its spelling never changes what a webhook means.

use std::borrow::Cow;

/// Digits that a number may have once it is written out. No id, amount or epoch has more.
const MOST_DIGITS: i64 = 40;
/// Digits that [`Number::billionths`] has at most: more do not fit.
const MOST_BILLIONTHS: i64 = 38;

/// A decimal number as JSON writes it, with an exponent or without one.
#[derive(Debug, Clone, Copy)]
pub struct Number<'a> {
    negative: bool,
    /// The digits before the point.
    whole: &'a str,
    fraction: &'a str,
    exponent: i64,
}

impl<'a> Number<'a> {
    /// Reads a number, which may begin with a plus or with zeros: texts hold such numbers too. `None` for anything
    /// else, and for an exponent beyond 32 bits.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let exponent = exponent.parse::<i32>().ok()?.into();
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (mantissa, None),
        };
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !fraction.is_none_or(digits) {
            return None;
        }
        Some(Self { negative, whole, fraction: fraction.unwrap_or_default(), exponent })
    }

    /// One spelling for each number: its significant digits, and a power of ten. No digit is lost.
    #[must_use]
    pub fn canonical(&self) -> String {
        let (digits, power) = self.significant();
        if digits.is_empty() {
            return "0".to_owned();
        }
        format!("{}{digits}e{power}", self.sign())
    }

    /// The digits of a whole number; `None` for another one, and for one of too many digits.
    #[must_use]
    pub fn whole(&self) -> Option<String> {
        let (digits, power) = self.significant();
        if digits.is_empty() {
            return Some(format!("{}0", self.sign()));
        }
        let zeros = usize::try_from(power).ok()?;
        (length(&digits) + power <= MOST_DIGITS)
            .then(|| format!("{}{digits}{}", self.sign(), "0".repeat(zeros)))
    }

    /// Written out without an exponent; zeros behind the last digit stay, as they say how exact it is. `None` when it
    /// has too many digits for that.
    #[must_use]
    pub fn plain(&self) -> Option<String> {
        let digits = self.digits();
        let point = length(self.whole) + self.exponent;
        if point.abs() > MOST_DIGITS || length(&digits) > MOST_DIGITS {
            return None;
        }
        let before = usize::try_from(point).unwrap_or(0);
        let zeros = "0".repeat(usize::try_from(-point).unwrap_or(0));
        let (whole, fraction) = match digits.split_at_checked(before) {
            Some((whole, fraction)) => (whole.to_owned(), zeros + fraction),
            None => (format!("{digits:0<before$}"), String::new()),
        };
        let whole = match whole.trim_start_matches('0') {
            "" => "0",
            whole => whole,
        };
        let point = if fraction.is_empty() { "" } else { "." };
        Some(format!("{}{whole}{point}{fraction}", self.sign()))
    }

    /// A thousand million times its value, without what is then behind the point; `None` beyond 38 digits. Of an epoch
    /// in seconds these are its nanoseconds.
    #[must_use]
    pub fn billionths(&self) -> Option<i128> {
        let digits = || self.whole.bytes().chain(self.fraction.bytes()).skip_while(|digit| *digit == b'0');
        let (count, power) = (digits().count(), self.exponent - length(self.fraction) + 9);
        let magnitude = i64::try_from(count).ok()? + power;
        if count == 0 || magnitude <= 0 {
            return Some(0);
        }
        if magnitude > MOST_BILLIONTHS {
            return None;
        }
        let kept = usize::try_from(magnitude).map_or(count, |kept| kept.min(count));
        let zeros = u32::try_from(power).unwrap_or(0);
        let value = digits().take(kept).fold(0, |value, digit| value * 10 + i128::from(digit - b'0'));
        let value = value * 10_i128.pow(zeros);
        Some(if self.negative { -value } else { value })
    }

    /// All digits, without the point.
    fn digits(&self) -> Cow<'a, str> {
        match self.fraction {
            "" => self.whole.into(),
            fraction => [self.whole, fraction].concat().into(),
        }
    }

    /// The digits without zeros around them, and the power of ten that they are multiplied by. Of zero there are none.
    fn significant(&self) -> (Cow<'a, str>, i64) {
        let digits = self.digits();
        let without = digits.trim_end_matches('0');
        let power = self.exponent - length(self.fraction) + length(&digits) - length(without);
        let from = without.len() - without.trim_start_matches('0').len();
        let span = from..without.len();
        let significant = match digits {
            Cow::Borrowed(digits) => digits[span].into(),
            Cow::Owned(digits) => digits[span].to_owned().into(),
        };
        (significant, power)
    }

    const fn sign(&self) -> &'static str {
        if self.negative { "-" } else { "" }
    }
}

fn length(digits: &str) -> i64 {
    i64::try_from(digits.len()).unwrap_or(i64::MAX)
}
