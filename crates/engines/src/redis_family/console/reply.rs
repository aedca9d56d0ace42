//! An answer as it comes (RESP2). What is beyond what is shown is read to its end all the same, so that the
//! next answer is the next one's, and is not held.

use mainstay_drivers::Result;
use mainstay_model::{
    Error,
    console::{ConsoleSaid, ConsoleValue, SHOWN_BYTES, SHOWN_ROWS, SHOWN_VALUE},
};
use std::{io, pin::Pin};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// Lists in lists. Deeper ones are read, and not shown.
const DEPTH: usize = 16;
/// A script can make lists of any depth; this much is read at all.
const DEEPEST: usize = 128;
/// A line that is longer is none of this protocol.
const LINE: usize = 64 << 10;

pub(super) struct Reader<R> {
    from: R,
    budget: Budget,
}

/// What of one answer may still be shown.
#[derive(Default)]
struct Budget {
    values: usize,
    bytes: usize,
    seen: u64,
    cut: bool,
}

impl Budget {
    fn take(&mut self, bytes: usize) -> bool {
        self.seen += 1;
        if self.cut || self.values == 0 || bytes > self.bytes {
            self.cut = true;
            return false;
        }
        (self.values, self.bytes) = (self.values - 1, self.bytes - bytes);
        true
    }
}

pub(super) fn lost(e: io::Error) -> Error {
    let why = if e.kind() == io::ErrorKind::UnexpectedEof { "the connection was closed".into() } else { e.to_string() };
    Error::unavailable("engine_lost", why)
}

fn strange() -> Error {
    Error::unavailable("engine_lost", "the server's answer does not read")
}

/// Reading itself, boxed because lists hold lists.
type Reading<'a> = Pin<Box<dyn Future<Output = Result<Option<ConsoleValue>>> + Send + 'a>>;

impl<R: AsyncBufRead + Unpin + Send> Reader<R> {
    pub fn new(from: R) -> Self {
        Reader { from, budget: Budget::default() }
    }

    /// One answer, and a sentence where not all of it is shown.
    pub async fn read(&mut self) -> Result<(ConsoleValue, Option<String>)> {
        self.budget = Budget { values: SHOWN_ROWS, bytes: SHOWN_BYTES, ..Budget::default() };
        let value = self.value(0).await?.unwrap_or(ConsoleValue::Nil);
        let sentence = || format!("cut off: {} of {} values are shown; ask for fewer", SHOWN_ROWS - self.budget.values, self.budget.seen);
        Ok((value, self.budget.cut.then(sentence)))
    }

    /// Resolves with the end of the connection.
    pub async fn closed(&mut self) -> Result<ConsoleSaid> {
        match self.from.fill_buf().await {
            Ok([]) => Err(lost(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => Err(strange()),
            Err(e) => Err(lost(e)),
        }
    }

    /// `None` where there is no room left to show it.
    fn value(&mut self, depth: usize) -> Reading<'_> {
        Box::pin(async move {
            let line = self.line().await?;
            let (kind, rest) = line.split_at_checked(1).ok_or_else(strange)?;
            let number = || rest.parse::<i64>().map_err(|_| strange());
            match kind {
                "+" => Ok(self.budget.take(rest.len()).then(|| ConsoleValue::Status(rest.into()))),
                "-" => Ok(self.budget.take(rest.len()).then(|| ConsoleValue::Error(rest.into()))),
                ":" => {
                    let n = number()?;
                    Ok(self.budget.take(8).then_some(ConsoleValue::Integer(n)))
                }
                "$" => match number()? {
                    -1 => Ok(self.budget.take(0).then_some(ConsoleValue::Nil)),
                    n => self.text(usize::try_from(n).map_err(|_| strange())?).await,
                },
                "*" => match number()? {
                    -1 => Ok(self.budget.take(0).then_some(ConsoleValue::Nil)),
                    n => self.list(usize::try_from(n).map_err(|_| strange())?, depth).await,
                },
                _ => Err(strange()),
            }
        })
    }

    async fn line(&mut self) -> Result<String> {
        let mut bytes = Vec::new();
        let n = (&mut self.from).take(LINE as u64).read_until(b'\n', &mut bytes).await.map_err(lost)?;
        match bytes.strip_suffix(b"\r\n") {
            Some(line) => Ok(String::from_utf8_lossy(line).into_owned()),
            None if n == LINE => Err(strange()),
            None => Err(lost(io::ErrorKind::UnexpectedEof.into())),
        }
    }

    async fn list(&mut self, length: usize, depth: usize) -> Result<Option<ConsoleValue>> {
        let mut items = Vec::new();
        if depth >= DEEPEST {
            return Err(Error::unavailable("engine_lost", "the answer holds lists in lists that nobody could read"));
        }
        if depth >= DEPTH {
            self.budget.cut = true;
        }
        for _ in 0..length {
            items.extend(self.value(depth + 1).await?);
        }
        let shown = length == 0 || !items.is_empty() || !self.budget.cut;
        Ok(shown.then_some(ConsoleValue::List(items)))
    }

    async fn text(&mut self, length: usize) -> Result<Option<ConsoleValue>> {
        let held = length.min(SHOWN_VALUE);
        let mut bytes = vec![0; held];
        self.from.read_exact(&mut bytes).await.map_err(lost)?;
        self.pass_over(length - held).await?;
        let mut end = [0; 2];
        self.from.read_exact(&mut end).await.map_err(lost)?;
        if &end != b"\r\n" {
            return Err(strange());
        }
        Ok(self.budget.take(held).then(|| shown(bytes, length)))
    }

    async fn pass_over(&mut self, mut left: usize) -> Result<()> {
        while left > 0 {
            let some = self.from.fill_buf().await.map_err(lost)?.len().min(left);
            if some == 0 {
                return Err(lost(io::ErrorKind::UnexpectedEof.into()));
            }
            self.from.consume(some);
            left -= some;
        }
        Ok(())
    }
}

fn shown(mut bytes: Vec<u8>, length: usize) -> ConsoleValue {
    let more = if bytes.len() < length { format!("… ({length} bytes in all)") } else { String::new() };
    if !more.is_empty() {
        // Not in the middle of a character.
        let whole =
            std::str::from_utf8(&bytes).map_or_else(|e| if e.error_len().is_none() { e.valid_up_to() } else { bytes.len() }, str::len);
        bytes.truncate(whole);
    }
    match String::from_utf8(bytes) {
        Ok(text) => ConsoleValue::Text(text + &more),
        Err(e) => ConsoleValue::Bytes(escaped(e.as_bytes()) + &more),
    }
}

/// As `redis-cli` shows bytes, without the quotes.
fn escaped(bytes: &[u8]) -> String {
    let mut out = String::new();
    for byte in bytes {
        match byte {
            b'\\' | b'"' => out.extend(['\\', *byte as char]),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            b' '..=b'~' => out.push(*byte as char),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use ConsoleValue::*;

    async fn read(bytes: &[u8]) -> Result<(ConsoleValue, Option<String>)> {
        Reader::new(bytes).read().await
    }

    #[tokio::test]
    async fn answers_are_read_as_what_they_are() {
        for (bytes, value) in [
            (&b"+OK\r\n"[..], Status("OK".into())),
            (b"-ERR no\r\n", Error("ERR no".into())),
            (b":-7\r\n", Integer(-7)),
            (b"$-1\r\n", Nil),
            (b"$0\r\n\r\n", Text(String::new())),
            (b"$4\r\n\xc3\xa4\r\n\r\n", Text("ä\r\n".into())),
            (b"$3\r\na\x00\xff\r\n", Bytes("a\\x00\\xff".into())),
            (b"*-1\r\n", Nil),
            (b"*0\r\n", List(vec![])),
            (b"*2\r\n:1\r\n*1\r\n-E x\r\n", List(vec![Integer(1), List(vec![Error("E x".into())])])),
        ] {
            assert_eq!(read(bytes).await.unwrap(), (value, None), "{bytes:?}");
        }
        for broken in [&b""[..], b"+OK", b"$5\r\nab", b"!x\r\n", b"*x\r\n", b"$-2\r\n", b"\r\n", b"$1\r\nabc"] {
            assert!(read(broken).await.is_err(), "{broken:?}");
        }
    }

    #[tokio::test]
    async fn what_is_too_much_is_read_to_its_end_and_not_shown() {
        let many = [b"*1500\r\n".to_vec(), b":1\r\n".repeat(1500), b"+NEXT\r\n".to_vec()].concat();
        let mut reader = Reader::new(many.as_slice());
        let (value, cut) = reader.read().await.unwrap();
        assert!(matches!(value, List(items) if items.len() == SHOWN_ROWS));
        assert_eq!(cut.as_deref(), Some("cut off: 1000 of 1500 values are shown; ask for fewer"));
        assert_eq!(reader.read().await.unwrap(), (Status("NEXT".into()), None));
        let long = [format!("${}\r\n", 3 << 20).into_bytes(), vec![b'x'; 3 << 20], b"\r\n+NEXT\r\n".to_vec()].concat();
        let mut reader = Reader::new(long.as_slice());
        let (value, _) = reader.read().await.unwrap();
        assert!(matches!(value, Text(text) if text.len() < SHOWN_VALUE + 100 && text.ends_with("(3145728 bytes in all)")));
        assert_eq!(reader.read().await.unwrap().0, Status("NEXT".into()));
        let deep = [b"*1\r\n".repeat(40), b":1\r\n".to_vec()].concat();
        assert!(read(&deep).await.unwrap().1.is_some());
    }
}
