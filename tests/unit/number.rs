use milepost::domain::decimal::Decimal;
use milepost::domain::number::Number;
use proptest::prelude::*;

fn number(text: &str) -> Number<'_> {
    Number::parse(text).unwrap_or_else(|| panic!("{text} is a number"))
}

fn plain(text: &str) -> Option<String> {
    number(text).plain()
}

#[test]
fn what_is_no_number_is_refused() {
    for text in [
        "", "-", "+", ".", "1.", ".5", "1e", "e1", "1e1.5", "--1", "+-1", "1,5", " 1", "1 ", "0x1", "NaN",
        "inf", "٣", "1_000",
    ] {
        assert!(Number::parse(text).is_none(), "{text:?}");
    }
    assert!(Number::parse("1e2147483648").is_none(), "an exponent of more than 32 bits");
}

#[test]
fn billionths_are_exact_and_cut_off() {
    for (spelt, billionths) in [
        ("1739366239.2031", 1_739_366_239_203_100_000),
        ("1739366239203", 1_739_366_239_203_000_000_000),
        ("17393.66239203e8", 1_739_366_239_203_000_000_000),
        ("-1.5", -1_500_000_000),
        ("00012", 12_000_000_000),
        ("0.0000000019", 1),
        ("1e-10", 0),
        ("1e-2147483648", 0),
        ("-0.0", 0),
        ("0e2147483647", 0),
        ("1e28", 10_i128.pow(37)),
        (
            "0.00012345678901234567890123456789012345678901234567890e31",
            1_234_567_890_123_456_789_012_345_678_901_234_567,
        ),
    ] {
        assert_eq!(number(spelt).billionths(), Some(billionths), "{spelt}");
    }
    for none in ["1e29", "-1e2147483647", "1234567890123456789012345678901"] {
        assert_eq!(number(none).billionths(), None, "{none}");
    }
}

#[test]
fn a_whole_number_has_one_spelling() {
    for (spelt, whole) in [
        ("90", "90"),
        ("90.0", "90"),
        ("9e1", "90"),
        ("9E+1", "90"),
        ("900e-1", "90"),
        ("0.09e3", "90"),
        ("-7.00", "-7"),
        ("+7", "7"),
        ("007", "7"),
        ("0", "0"),
        ("0.0", "0"),
        ("-0.0", "-0"),
        ("0e999", "0"),
        ("9007199254740993.0", "9007199254740993"),
        ("1e39", "1000000000000000000000000000000000000000"),
    ] {
        assert_eq!(number(spelt).whole().as_deref(), Some(whole), "{spelt}");
    }
    for none in ["1.5", "1e-1", "0.001", "1e40", "1e2147483647", "1e-2147483648"] {
        assert_eq!(number(none).whole(), None, "{none}");
    }
}

#[test]
fn an_exponent_is_written_out_and_no_digit_is_lost() {
    for (spelt, written) in [
        ("-3.8e-05", "-0.000038"),
        ("3.80E-5", "0.0000380"),
        ("1.50e1", "15.0"),
        ("1.5e1", "15"),
        ("15e-1", "1.5"),
        ("1e3", "1000"),
        ("0e5", "0"),
        ("-0.0e-2", "-0.000"),
        ("00.5e0", "0.5"),
        ("12.50", "12.50"),
    ] {
        assert_eq!(plain(spelt).as_deref(), Some(written), "{spelt}");
    }
    for none in ["1e300", "1e-300", "1e2147483647", "0e-2147483648"] {
        assert_eq!(plain(none), None, "{none}");
    }
}

#[test]
fn a_decimal_takes_exponents_and_stays_within_its_pattern() {
    let decimal = |text: &str| text.parse::<Decimal>().ok().map(|decimal| decimal.to_string());
    assert_eq!(decimal("-3.8e-05").as_deref(), Some("-0.000038"));
    assert_eq!(decimal("012.50").as_deref(), Some("012.50"), "as it was sent");
    assert_eq!(decimal("+1.5"), None);
    assert_eq!(decimal("+15e-1"), None);
    assert_eq!(decimal(&"1".repeat(40)), Some("1".repeat(40)));
    assert_eq!(decimal(&"1".repeat(41)), None);
    assert_eq!(decimal("1e-38").map(|text| text.len()), Some(40));
    assert_eq!(decimal("1e-39"), None, "41 bytes");
    assert_eq!(decimal("-1e-38"), None, "41 bytes");
}

proptest! {
    #[test]
    fn nothing_panics(text in ".{0,40}", digits in "[-+]?[0-9]{0,50}[.]?[0-9]{0,50}([eE][-+]?[0-9]{1,12})?") {
        for text in [&text, &digits] {
            if let Some(number) = Number::parse(text) {
                let _ = (number.canonical(), number.whole(), number.plain(), number.billionths());
                let _ = text.parse::<Decimal>();
            }
        }
    }

    /// The point is moved by the exponent, and back by the spelling.
    #[test]
    fn a_whole_number_is_itself_however_it_is_spelt(value in any::<i64>(), zeros in 0_usize..20, shift in 0_usize..19) {
        let digits = value.unsigned_abs().to_string();
        let sign = if value < 0 { "-" } else { "" };
        let zeros = "0".repeat(zeros);
        let padded = format!("{digits:0>width$}", width = shift + 1);
        let (whole, fraction) = padded.split_at(padded.len() - shift);
        let spellings = [
            format!("{value}.{zeros}0"),
            format!("{value}{zeros}e-{}", zeros.len()),
            format!("{sign}{whole}.{fraction}{zeros}0e{shift}"),
        ];
        for spelt in spellings {
            prop_assert_eq!(number(&spelt).whole(), Some(value.to_string()), "{}", spelt);
            prop_assert_eq!(number(&spelt).canonical(), number(&value.to_string()).canonical(), "{}", spelt);
        }
    }

    /// Written out it is the same number, without an exponent, and of the contract's pattern.
    #[test]
    fn a_plain_number_is_the_same_number(digits in "-?[0-9]{1,12}([.][0-9]{1,12})?", exponent in -20_i32..20) {
        let spelt = format!("{digits}e{exponent}");
        if let Some(written) = plain(&spelt) {
            prop_assert!(written.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-'));
            prop_assert_eq!(number(&written).canonical(), number(&spelt).canonical());
            prop_assert_eq!(written.parse::<f64>().ok(), spelt.parse::<f64>().ok());
        }
    }
}
