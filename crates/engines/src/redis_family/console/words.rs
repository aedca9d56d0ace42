//! A command as it is typed: words apart by space, in quotes where they hold some. Inside double quotes the
//! escapes of `redis-cli` work, so that any bytes can be typed; inside single ones only `\'`.

/// Words of a command.
const MOST: usize = 4096;

pub(super) fn split(line: &str) -> Result<Vec<Vec<u8>>, &'static str> {
    let (mut words, mut rest) = (Vec::new(), line.trim().as_bytes());
    while !rest.is_empty() {
        let (word, left) = word(rest)?;
        words.push(word);
        rest = left.trim_ascii_start();
        if words.len() > MOST {
            return Err("a command has at most 4096 words");
        }
    }
    match words.first() {
        Some(name) if !name.is_empty() => Ok(words),
        _ => Err("a command begins with its name"),
    }
}

fn word(mut rest: &[u8]) -> Result<(Vec<u8>, &[u8]), &'static str> {
    let mut word = Vec::new();
    while let Some((first, tail)) = rest.split_first() {
        match first {
            b'"' | b'\'' => {
                rest = quoted(*first, tail, &mut word)?;
                if rest.first().is_some_and(|c| !c.is_ascii_whitespace()) {
                    return Err("a closing quote is followed by a space or by nothing");
                }
            }
            c if c.is_ascii_whitespace() => break,
            c => {
                word.push(*c);
                rest = tail;
            }
        }
    }
    Ok((word, rest))
}

fn quoted<'a>(quote: u8, mut rest: &'a [u8], word: &mut Vec<u8>) -> Result<&'a [u8], &'static str> {
    loop {
        rest = match rest {
            [] => return Err("a quote is not closed"),
            [c, tail @ ..] if *c == quote => return Ok(tail),
            [b'\\', b'\'', tail @ ..] if quote == b'\'' => {
                word.push(b'\'');
                tail
            }
            [b'\\', b'x', high, low, tail @ ..] if quote == b'"' && high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digits = [*high, *low];
                word.extend(hex::decode(digits).unwrap_or_default());
                tail
            }
            [b'\\', c, tail @ ..] if quote == b'"' => {
                word.push(match c {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    c => *c,
                });
                tail
            }
            [c, tail @ ..] => {
                word.push(*c);
                tail
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_was_typed() {
        let of = |line: &str| split(line).map(|words| words.iter().map(|w| String::from_utf8_lossy(w).into_owned()).collect::<Vec<_>>());
        assert_eq!(of("  SET  a   b ").unwrap(), ["SET", "a", "b"]);
        assert_eq!(of(r#"set 'a b' "c \"d\"\n" '' "ä""#).unwrap(), ["set", "a b", "c \"d\"\n", "", "ä"]);
        assert_eq!(split(r#"set k "\x00\xff\xzz""#).unwrap()[2], b"\x00\xffxzz");
        assert_eq!(of(r"echo 'it\'s \n'").unwrap(), ["echo", r"it's \n"]);
        for bad in ["", "get 'a", "get \"a", "get 'a'b", "'' a", "get \"a\\"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
