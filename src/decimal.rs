//! Decimal numbers as people write them. The standard library's reader brings ten kilobytes of tables along for numbers of
//! any length, which every page would load.

/// The most places that the point is moved: by more a quotient below would have too few bits.
const MOST: u32 = 21;

/// The nearest number to a decimal of at most 19 digits, 21 of them behind the point where the first are zeros, such as `-0.5`
/// or `1e-3`; none for what is no such number.
pub(crate) fn decimal(text: &str) -> Option<f64> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i8>().ok()?),
        None => (text, 0),
    };
    let (whole, behind) = digits.split_once('.').unwrap_or((digits, ""));
    let digits = format!("{whole}{}", behind.trim_end_matches('0'));
    let number = match digits.bytes().all(|digit| digit.is_ascii_digit()) {
        true if digits.is_empty() && !behind.is_empty() => 0,
        true => digits.parse::<u64>().ok()?,
        false => return None,
    };
    let power = i32::from(exponent) - i32::try_from(digits.len() - whole.len()).ok()?;
    let tens = 10u128.pow(Some(power.unsigned_abs()).filter(|&power| power <= MOST)?);
    let value = match power {
        ..0 => quotient(number, tens),
        _ => u128::from(number).checked_mul(tens)? as f64,
    };
    Some(sign * value)
}

/// A quotient rounded once: that of whole numbers has more bits than the result, and the last says whether something is left.
fn quotient(number: u64, by: u128) -> f64 {
    let shift = 64 + number.leading_zeros();
    let number = u128::from(number).checked_shl(shift).unwrap_or(0);
    let whole = number / by;
    (whole | u128::from(whole * by != number)) as f64 * 2f64.powi(-(shift as i32))
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn reads_what_the_standard_library_reads() {
        let short =
            "0 1 -1 +1 16 0.5 -0.5 .5 5. -.25 0.1 0.3 1e-3 2.5E2 1e19 -0 0.0 .0 0.50000000000000000000000";
        let long = "0.30000000000000004 0.3333333333333333 -0.9999999999999999 9007199254740993 18446744073709551615 \
                    1.7976931348623157 0.0000000000000000001 -0.00039342444773970975";
        for text in short.split(' ').chain(long.split(' ')) {
            let (got, want) = (decimal(text), text.parse::<f64>().ok());
            assert_eq!(got.map(f64::to_bits), want.map(f64::to_bits), "{text}");
        }
        // Numbers all over the bits of a mantissa, as the shortest digits that mean them.
        let mut state = 1u64;
        for _ in 0..100_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let number = f64::from_bits((1023 << 52) | (state >> 12)) - 0.5;
            assert_eq!(decimal(&number.to_string()), Some(number), "{number}");
        }
    }

    #[test]
    fn refuses_what_is_no_number_or_too_long() {
        for text in ",.,-,+-1,--1,1.2.3,1e,e1,inf,NaN,0x10,1_0, 1,1e22,1e-22,18446744073709551615e20,0.1+2,0.12345678901234567890123"
            .split(',')
        {
            assert_eq!(decimal(text), None, "{text}");
        }
    }
}
