//! E-mail over SMTP.
//!
//! `smtps://` speaks TLS from the first byte, `smtp://` demands STARTTLS. Only to this very machine
//! may it be plain, where nobody listens in and local relays have no certificate that would fit.

use crate::{MAX_TEXT, TIMEOUT, outgoing::Outgoing};
use async_trait::async_trait;
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{
        Mailbox,
        header::{ContentType, HeaderName, HeaderValue},
    },
    transport::smtp::{
        Error as SmtpError,
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
    },
};
use mainstay_drivers::notifier::{Email, Notifier};
use mainstay_model::{Error, Result, Secret, Time, error::shown, notice::Notice};
use std::{
    net::SocketAddr,
    time::{Duration, UNIX_EPOCH},
};

/// Most addresses one message goes to.
const MAX_TO: usize = 20;
/// Greeting, TLS, login, message: several answers, each of which may take a while.
const CONVERSATION: Duration = Duration::from_secs(20);

type Transport = AsyncSmtpTransport<Tokio1Executor>;

pub(crate) struct EmailNotifier {
    name: String,
    server: Server,
    from: Mailbox,
    to: Vec<Mailbox>,
    login: Option<(String, Secret)>,
    certificate: Option<Certificate>,
    outgoing: Outgoing,
}

#[derive(Debug, Clone, PartialEq)]
struct Server {
    host: String,
    port: u16,
    /// TLS from the first byte.
    implicit: bool,
}

impl EmailNotifier {
    pub fn new(name: &str, spec: &Email, secret: Option<Secret>, outgoing: Outgoing) -> Result<Self> {
        let server = server(&spec.smtp)?;
        if spec.to.is_empty() || spec.to.len() > MAX_TO {
            return Err(Error::invalid("to", format!("1 to {MAX_TO} addresses")));
        }
        let login = match (&spec.username, secret) {
            (Some(user), Some(password)) if !user.is_empty() && user.len() <= MAX_TEXT => Some((user.clone(), password)),
            (None, None) => None,
            _ => return Err(Error::invalid("username", "a user name and a password belong together: give both or neither")),
        };
        let certificate =
            |pem: &String| Certificate::from_pem(pem.as_bytes()).map_err(|_| Error::invalid("ca", "this is not a PEM certificate"));
        Ok(EmailNotifier {
            name: name.into(),
            server,
            from: mailbox("from", &spec.from)?,
            to: spec.to.iter().map(|a| mailbox("to", a)).collect::<Result<_>>()?,
            login,
            certificate: spec.ca.as_ref().map(certificate).transpose()?,
            outgoing,
        })
    }

    fn tls(&self, address: SocketAddr) -> Result<Tls> {
        if !self.server.implicit && self.certificate.is_none() && address.ip().to_canonical().is_loopback() {
            return Ok(Tls::None);
        }
        let mut parameters = TlsParameters::builder(self.server.host.clone());
        if let Some(certificate) = &self.certificate {
            parameters = parameters.add_root_certificate(certificate.clone());
        }
        let parameters = parameters.build().map_err(Error::internal)?;
        Ok(if self.server.implicit { Tls::Wrapper(parameters) } else { Tls::Required(parameters) })
    }

    /// Connects to this very address; the name is what its certificate must be for.
    fn transport(&self, address: SocketAddr) -> Result<Transport> {
        let mut builder =
            Transport::builder_dangerous(address.ip().to_string()).port(address.port()).timeout(Some(TIMEOUT)).tls(self.tls(address)?);
        if let Some((user, password)) = &self.login {
            builder = builder.credentials(Credentials::new(user.clone(), password.reveal().into()));
        }
        Ok(builder.build())
    }

    /// Of a host with several addresses, the first one that takes a connection.
    async fn reachable(&self) -> Result<Transport> {
        let addresses = self.outgoing.resolve("smtp", &self.server.host, self.server.port).await?;
        let connected = tokio::time::timeout(TIMEOUT, async {
            let mut last = None;
            for address in addresses {
                match tokio::net::TcpStream::connect(address).await {
                    Ok(_) => return Ok(address),
                    Err(e) => last = Some(e),
                }
            }
            Err(last.map_or_else(String::new, |e| e.to_string()))
        });
        match connected.await {
            Ok(Ok(address)) => self.transport(address),
            Ok(Err(why)) => Err(Error::unavailable("smtp_unreachable", format!("{} cannot be reached: {why}", self.target()))),
            Err(_) => Err(self.slow()),
        }
    }

    fn slow(&self) -> Error {
        Error::timed_out(format!("{} did not answer in time", self.target()))
    }

    fn message(&self, notice: &Notice) -> Result<Message> {
        let header = |name: &'static str, value: &str| HeaderValue::new(HeaderName::new_from_ascii_str(name), value.into());
        // What is in a title may come from users: a line break in it would begin another header.
        let mut builder = Message::builder()
            .from(self.from.clone())
            .subject(format!("[Mainstay] {}", one_line(&notice.title)))
            .date(UNIX_EPOCH + Duration::from_micros(u64::try_from(notice.at.micros()).unwrap_or(0)))
            .message_id(Some(format!("<{}@mainstay>", notice.id)))
            .raw_header(header("Auto-Submitted", "auto-generated"))
            .raw_header(header("Mainstay-Delivery", notice.id.as_str()))
            .raw_header(header("Mainstay-Event", notice.kind.as_str()))
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        let about = notice.cluster.as_ref().map(|c| format!("Cluster: {c}\r\n")).unwrap_or_default();
        let text = notice.text.replace("\r\n", "\n").replace('\n', "\r\n");
        let body = format!("{text}\r\n\r\n{about}{}: {}\r\nTime: {}\r\n", capital(&notice.object_kind), notice.object, notice.at);
        builder.body(body).map_err(|e| Error::failed("mail_not_made", format!("the message could not be put together: {e}")))
    }

    async fn within<T>(&self, work: impl Future<Output = std::result::Result<T, SmtpError>>) -> Result<T> {
        match tokio::time::timeout(CONVERSATION, work).await {
            Ok(done) => done.map_err(|e| self.broken(e)),
            Err(_) => Err(self.slow()),
        }
    }

    fn broken(&self, e: SmtpError) -> Error {
        // Some layers repeat what is below them, others keep it: the innermost says what it was.
        let mut why: &dyn std::error::Error = &e;
        while let Some(inner) = why.source() {
            why = inner;
        }
        let why = shown(&why.to_string());
        let target = self.target();
        match e.status() {
            Some(code) if e.is_permanent() => Error::failed("mail_refused", format!("{target} refused it: {code} {why}")),
            Some(code) => Error::unavailable("mail_put_off", format!("{target} puts it off: {code} {why}")),
            None if e.is_timeout() => self.slow(),
            None if e.is_tls() => Error::failed("smtp_tls", format!("no TLS with {target}: {why}; --ca-file names a certificate to trust")),
            None if e.is_client() => Error::failed("smtp_refused", format!("{target} does not offer what is needed: {why}")),
            None => Error::unavailable("smtp_unreachable", format!("the conversation with {target} broke off: {why}")),
        }
    }
}

/// `smtps://host[:port]` or `smtp://host[:port]`.
fn server(text: &str) -> Result<Server> {
    let bad = |why: &str| Error::invalid("smtp", format!("the server is smtps://host[:port], or smtp://host[:port] for STARTTLS: {why}"));
    let (implicit, rest) = match text.split_once("://") {
        Some(("smtps", rest)) => (true, rest),
        Some(("smtp", rest)) => (false, rest),
        _ => return Err(bad("it begins with smtps:// or smtp://")),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains('@') {
        return Err(bad("the login has options of its own"));
    }
    let (host, port) = match (rest.strip_prefix('['), rest.rsplit_once(':')) {
        (Some(v6), _) => {
            let (host, port) = v6.split_once(']').ok_or_else(|| bad("the bracket is not closed"))?;
            (host, port.strip_prefix(':'))
        }
        (None, Some((host, port))) => (host, Some(port)),
        (None, None) => (rest, None),
    };
    let is_host =
        |h: &str| !h.is_empty() && h.len() <= 253 && h.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':'));
    if !is_host(host) {
        return Err(bad("the host does not read as one"));
    }
    let port = match port {
        None => {
            if implicit {
                465
            } else {
                587
            }
        }
        Some(p) => p.parse().ok().filter(|p| *p != 0).ok_or_else(|| bad("the port is 1 to 65535"))?,
    };
    Ok(Server { host: host.into(), port, implicit })
}

fn mailbox(field: &str, text: &str) -> Result<Mailbox> {
    let good = text.len() <= 320 && !text.chars().any(char::is_control);
    let parsed = good.then(|| text.parse().ok()).flatten();
    parsed.ok_or_else(|| Error::invalid(field, format!("\"{}\" is not an e-mail address", shown(text))))
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

#[async_trait]
impl Notifier for EmailNotifier {
    fn name(&self) -> &str {
        &self.name
    }

    fn target(&self) -> String {
        let Server { host, port, implicit } = &self.server;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        format!("{}://{host}:{port}", if *implicit { "smtps" } else { "smtp" })
    }

    async fn check(&self) -> Result<()> {
        let transport = self.reachable().await?;
        match self.within(transport.test_connection()).await? {
            true => Ok(()),
            false => Err(Error::unavailable("smtp_unreachable", format!("{} closed the connection", self.target()))),
        }
    }

    async fn send(&self, notice: &Notice, _: Time) -> Result<String> {
        let message = self.message(notice)?;
        let transport = self.reachable().await?;
        let said = self.within(transport.send(message)).await?;
        let words: Vec<&str> = said.message().collect();
        Ok(format!("{} {}", said.code(), shown(&words.join(" "))).trim_end().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_model::{NoticeId, ProjectId, notice::NoticeKind};

    fn spec() -> Email {
        Email {
            smtp: "smtps://mail.example.com".into(),
            from: "Mainstay <m@example.com>".into(),
            to: vec!["a@example.com".into()],
            username: None,
            ca: None,
        }
    }

    fn opened(spec: Email) -> Result<EmailNotifier> {
        EmailNotifier::new("ops", &spec, None, Outgoing::default())
    }

    #[test]
    fn servers() {
        let is = |text: &str, host: &str, port, implicit| {
            assert_eq!(server(text).unwrap(), Server { host: host.into(), port, implicit }, "{text}")
        };
        is("smtps://mail.example.com", "mail.example.com", 465, true);
        is("smtp://mail.example.com/", "mail.example.com", 587, false);
        is("smtp://127.0.0.1:2525", "127.0.0.1", 2525, false);
        is("smtps://[fd00::1]:25", "fd00::1", 25, true);
        is("smtp://[::1]", "::1", 587, false);
        for bad in [
            "",
            "mail.example.com",
            "http://a",
            "smtp://",
            "smtp://a:0",
            "smtp://a:99999",
            "smtp://u:p@a",
            "smtp://a b",
            "smtp://a\r\nb",
            "smtp://[::1",
        ] {
            assert_eq!(server(bad).unwrap_err().field.as_deref(), Some("smtp"), "{bad}");
        }
    }

    #[test]
    fn addresses_and_login() {
        for bad in ["", "nobody", "a@b\r\nBcc: c@d", "a@b, c@d", "a@b\0"] {
            assert_eq!(opened(Email { to: vec![bad.into()], ..spec() }).err().and_then(|e| e.field), Some("to".into()), "{bad}");
            assert_eq!(opened(Email { from: bad.into(), ..spec() }).err().and_then(|e| e.field), Some("from".into()), "{bad}");
        }
        assert!(opened(Email { to: vec![], ..spec() }).is_err());
        assert!(opened(Email { username: Some("u".into()), ..spec() }).is_err(), "no password");
        assert!(EmailNotifier::new("ops", &spec(), Some(Secret::new("p")), Outgoing::default()).is_err(), "no user");
    }

    #[test]
    fn a_title_stays_in_its_header() {
        let notice = Notice {
            id: NoticeId::new(),
            project: ProjectId::new(),
            kind: NoticeKind::BackupFailed,
            at: Time::from_micros(1_795_000_000_000_000),
            cluster: Some("shop".into()),
            object_kind: "backup".into(),
            object: "bk_1".into(),
            good: false,
            title: "shop\r\nBcc: evil@example.com\r\n\r\n<b>naïve</b>".into(),
            text: "first\n.\nsecond".into(),
        };
        let text = String::from_utf8(opened(spec()).unwrap().message(&notice).unwrap().formatted()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let names: Vec<_> =
            head.lines().filter(|l| !l.starts_with(' ')).filter_map(|l| l.split_once(':')).map(|(n, _)| n.to_ascii_lowercase()).collect();
        assert!(!names.contains(&"bcc".into()) && names.contains(&"subject".into()), "{head}");
        assert!(head.contains(&format!("Message-ID: <{}@mainstay>", notice.id)), "{head}");
        assert!(body.contains("first") && body.contains("second"), "{body}");
    }
}
