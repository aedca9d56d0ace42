//! An SMTP server that keeps what it is sent, as good or bad as a test wants it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, rustls};

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Speaks {
    Plain,
    /// From the first byte.
    Tls,
    StartTls,
    /// Says no to every recipient.
    Refuses,
    PutsOff,
    Closes,
    Hangs,
}

#[derive(Debug, Clone, Default)]
pub struct Mail {
    pub from: String,
    pub to: Vec<String>,
    pub data: String,
    pub encrypted: bool,
}

#[derive(Clone)]
pub struct Sink {
    speaks: Speaks,
    login: Option<(String, String)>,
    got: Arc<Mutex<Vec<Mail>>>,
    address: Option<SocketAddr>,
    pem: String,
    acceptor: TlsAcceptor,
    _task: Option<Arc<Ends>>,
}

struct Ends(JoinHandle<()>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Sink {
    pub fn new(speaks: Speaks) -> Sink {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Sink { speaks, login: None, got: Arc::default(), address: None, pem: made.cert.pem(), acceptor, _task: None }
    }

    pub fn login(mut self, user: &str, password: &str) -> Sink {
        self.login = Some((user.into(), password.into()));
        self
    }

    pub async fn start(mut self) -> Sink {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        self.address = listener.local_addr().ok();
        let sink = self.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(talk(sink.clone(), stream));
            }
        });
        self._task = Some(Arc::new(Ends(task)));
        self
    }

    pub fn url(&self) -> String {
        let scheme = if self.speaks == Speaks::Tls { "smtps" } else { "smtp" };
        format!("{scheme}://localhost:{}", self.address.unwrap().port())
    }

    pub fn ca(&self) -> String {
        self.pem.clone()
    }

    pub fn got(&self) -> Vec<Mail> {
        self.got.lock().unwrap().clone()
    }
}

async fn talk(sink: Sink, stream: TcpStream) {
    match sink.speaks {
        Speaks::Hangs => std::future::pending().await,
        Speaks::Closes => {}
        Speaks::Tls => {
            if let Ok(stream) = sink.acceptor.clone().accept(stream).await {
                converse(&sink, stream, true, true).await;
            }
        }
        _ => {
            if let Some(stream) = converse(&sink, stream, true, false).await
                && let Ok(stream) = sink.acceptor.clone().accept(stream).await
            {
                converse(&sink, stream, false, true).await;
            }
        }
    }
}

fn plain_login(user: &str, password: &str) -> String {
    // Base64 of "\0user\0password", as AUTH PLAIN sends it.
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes = format!("\0{user}\0{password}").into_bytes();
    let group = |c: &[u8]| {
        let n = u32::from(c[0]) << 16 | u32::from(*c.get(1).unwrap_or(&0)) << 8 | u32::from(*c.get(2).unwrap_or(&0));
        let char = |i: usize| if i > c.len() { '=' } else { ALPHABET[(n >> (18 - 6 * i) & 63) as usize] as char };
        (0..4).map(char).collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}

/// Until the end, or until the stream is to be encrypted, which then is given back.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(sink: &Sink, stream: S, greet: bool, encrypted: bool) -> Option<S> {
    let mut stream = BufReader::new(stream);
    if greet {
        stream.write_all(b"220 sink ESMTP\r\n").await.ok()?;
    }
    let mut mail = Mail { encrypted, ..Mail::default() };
    let mut let_in = sink.login.is_none();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let inside = || line.split(['<', '>']).nth(1).unwrap_or_default().to_string();
        let answer = match verb.as_str() {
            "EHLO" if sink.speaks == Speaks::StartTls && !encrypted => "250-sink\r\n250 STARTTLS".into(),
            "EHLO" if sink.login.is_some() => "250-sink\r\n250 AUTH PLAIN".into(),
            "EHLO" => "250 sink".into(),
            "STARTTLS" if sink.speaks == Speaks::StartTls => {
                stream.write_all(b"220 go ahead\r\n").await.ok()?;
                return Some(stream.into_inner());
            }
            "AUTH" => {
                let expected = sink.login.as_ref().map(|(u, p)| plain_login(u, p));
                let_in = expected.is_some() && line.strip_prefix("AUTH PLAIN ") == expected.as_deref();
                if let_in { "235 welcome".into() } else { "535 wrong user or password".into() }
            }
            "NOOP" => "250 here".into(),
            "QUIT" => "221 bye".into(),
            _ if !let_in || sink.speaks == Speaks::StartTls && !encrypted => "530 not like this".into(),
            "MAIL" => {
                mail.from = inside();
                "250 ok".into()
            }
            "RCPT" if sink.speaks == Speaks::Refuses => "550 no such user".into(),
            "RCPT" if sink.speaks == Speaks::PutsOff => "451 come back later".into(),
            "RCPT" => {
                mail.to.push(inside());
                "250 ok".into()
            }
            "DATA" => {
                stream.write_all(b"354 go ahead\r\n").await.ok()?;
                mail.data = data(&mut stream).await?;
                sink.got.lock().unwrap().push(mail.clone());
                "250 queued as 7".to_string()
            }
            _ => "500 what".into(),
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
        if verb == "QUIT" {
            return None;
        }
    }
}

async fn data<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufReader<S>) -> Option<String> {
    let mut data = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end_matches(['\r', '\n']) {
            "." => return Some(data),
            other => data.push_str(other.strip_prefix('.').unwrap_or(other)),
        }
        data.push('\n');
    }
}
