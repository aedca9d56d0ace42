//! Where a statement ends: at a semicolon outside of quotes, comments, parentheses and the body of an SQL
//! function, as `psql` sees it.

/// Lines of a statement that is not whole yet.
#[derive(Default)]
pub(super) struct Splitter {
    text: String,
    at: Place,
    parens: u32,
    /// There is more than space and comments.
    has_code: bool,
    /// The first words of the statement, to know the one kind that has semicolons inside.
    words: Vec<String>,
    /// `BEGIN`s and `CASE`s that are open in it.
    blocks: u32,
}

/// What stands around the next character.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Place {
    #[default]
    Plain,
    Single {
        escapes: bool,
    },
    Double,
    Dollar(String),
    Block(u32),
}

impl Splitter {
    pub fn is_unfinished(&self) -> bool {
        self.has_code || self.at != Place::Plain
    }

    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// One more line, and the statements that are whole with it.
    pub fn line(&mut self, line: &str) -> Vec<String> {
        let chars: Vec<char> = line.chars().chain(['\n']).collect();
        let (mut at, mut whole) = (0, Vec::new());
        while at < chars.len() {
            let taken = self.step(&chars[at..]);
            self.text.extend(&chars[at..at + taken]);
            at += taken;
            let ends = taken == 1 && chars[at - 1] == ';' && self.at == Place::Plain && self.parens == 0 && self.blocks == 0;
            if ends {
                let whole_one = std::mem::take(self);
                // Semicolons with nothing before them are nothing.
                whole.extend(whole_one.has_code.then(|| whole_one.text.trim().to_string()));
            }
        }
        if !self.is_unfinished() {
            *self = Splitter::default();
        }
        whole
    }

    /// Looks at what comes next, and says how many characters of it belong together.
    fn step(&mut self, next: &[char]) -> usize {
        let pair = (next[0], next.get(1).copied().unwrap_or('\n'));
        match (&mut self.at, pair) {
            (Place::Plain, _) => return self.plain(next, pair),
            (Place::Single { escapes: true }, ('\\', _)) => return next.len().min(2),
            // A doubled quote is one inside; it ends and begins anew, which comes to the same.
            (Place::Single { .. }, ('\'', _)) | (Place::Double, ('"', _)) => self.at = Place::Plain,
            (Place::Block(_), ('/', '*')) => self.deeper(1),
            (Place::Block(_), ('*', '/')) => {
                self.deeper(-1);
                return 2;
            }
            (Place::Dollar(tag), ('$', _)) if starts(next, tag) => {
                let length = tag.chars().count();
                self.at = Place::Plain;
                return length;
            }
            _ => return 1,
        }
        if pair == ('/', '*') { 2 } else { 1 }
    }

    fn deeper(&mut self, by: i32) {
        if let Place::Block(depth) = &mut self.at {
            *depth = depth.saturating_add_signed(by);
            if *depth == 0 {
                self.at = Place::Plain;
            }
        }
    }

    fn plain(&mut self, next: &[char], pair: (char, char)) -> usize {
        let comments = matches!(pair, ('-', '-') | ('/', '*'));
        self.has_code |= !comments && pair.0 != ';' && !pair.0.is_whitespace();
        match pair {
            ('-', '-') => return next.iter().position(|c| *c == '\n').unwrap_or(next.len()),
            ('/', '*') => {
                self.at = Place::Block(1);
                return 2;
            }
            ('\'', _) => self.at = Place::Single { escapes: false },
            ('"', _) => self.at = Place::Double,
            ('(', _) => self.parens += 1,
            (')', _) => self.parens = self.parens.saturating_sub(1),
            ('$', _) => {
                if let Some(tag) = dollar(next) {
                    let length = tag.chars().count();
                    self.at = Place::Dollar(tag);
                    return length;
                }
            }
            (c, _) if is_word(c) => return self.word(next),
            _ => {}
        }
        1
    }

    fn word(&mut self, next: &[char]) -> usize {
        let length = next.iter().position(|c| !is_word(*c) && *c != '$').unwrap_or(next.len());
        let word: String = next[..length].iter().collect::<String>().to_ascii_lowercase();
        if word == "e" && next.get(1) == Some(&'\'') {
            self.at = Place::Single { escapes: true };
            return 2;
        }
        match word.as_str() {
            // `BEGIN ATOMIC` of a function, and nothing else that begins.
            "begin" if self.makes_routine() => self.blocks += 1,
            "case" if self.blocks > 0 => self.blocks += 1,
            "end" => self.blocks = self.blocks.saturating_sub(1),
            _ => {}
        }
        if self.words.len() < 4 {
            self.words.push(word);
        }
        length
    }

    fn makes_routine(&self) -> bool {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let rest = match words.as_slice() {
            ["create", "or", "replace", rest @ ..] => rest,
            ["create", rest @ ..] => rest,
            _ => return false,
        };
        matches!(rest.first(), Some(&"function" | &"procedure"))
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn starts(next: &[char], text: &str) -> bool {
    let mut chars = next.iter();
    text.chars().all(|c| chars.next() == Some(&c))
}

/// `$tag$` or `$$`; `$1` is a parameter.
fn dollar(next: &[char]) -> Option<String> {
    let end = next.iter().skip(1).position(|c| *c == '$')? + 1;
    let tag = &next[1..end];
    let good = tag.iter().all(|c| is_word(*c)) && tag.first().is_none_or(|c| !c.is_ascii_digit());
    good.then(|| next[..=end].iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> (Vec<String>, bool) {
        let mut splitter = Splitter::default();
        let whole = text.lines().flat_map(|line| splitter.line(line)).collect();
        (whole, splitter.is_unfinished())
    }

    #[test]
    fn statements_end_at_their_semicolons() {
        let (whole, rest) = split("select 1; select\n2;;\n ; select 3");
        assert_eq!((whole, rest), (vec!["select 1;".into(), "select\n2;".into()], true));
        assert_eq!(split("  \n-- nothing;\n;"), (vec![], false));
        assert_eq!(split(""), (vec![], false));
    }

    #[test]
    fn semicolons_inside_are_none() {
        for one in [
            "select ';', '''; ', \"a;\"\"b\";",
            r"select E'\';', 'a\';",
            "select $$ ; $$, $x$ ; $$ ; $x$;",
            "select 1 -- ; '\n;",
            "select /* ; /* ; */ ; */ 1;",
            "create rule r as on insert to t do also (select 1; select 2);",
            "create function f() returns int language sql begin atomic select case when true then 1 end; select 2; end;",
            "create or replace procedure p() language sql begin atomic insert into t values (1); end;",
            "do $body$ begin perform 1; end $body$;",
            "select 'two\nlines;';",
        ] {
            assert_eq!(split(one), (vec![one.to_string()], false), "{one}");
        }
    }

    #[test]
    fn transactions_begin_and_end_as_statements() {
        assert_eq!(split("begin; select 1; end;").0.len(), 3);
        assert_eq!(split("select $1; select 2;").0.len(), 2);
        assert_eq!(split("select e'a;b'; select rate'x;';").0, ["select e'a;b';", "select rate'x;';"]);
    }

    #[test]
    fn what_is_open_stays_open() {
        for open in ["select 'a;", "select \"a;", "select $a$ ;", "select /* ;", "select (1;", "select"] {
            assert_eq!(split(open), (vec![], true), "{open}");
        }
    }
}
