//! Named pipes, with an eye on the other side: whoever waits for a program that is gone waits for ever.

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{CWD, FileType, Mode, mknodat},
    io::Errno,
};
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

pub type Over = Arc<dyn Fn() -> bool + Send + Sync>;

/// The state of a conversation with one run of a program.
#[derive(Clone)]
pub struct Line {
    ended: Arc<AtomicBool>,
    over: Over,
    kept: Arc<Mutex<Vec<File>>>,
}

impl Line {
    pub fn new(over: Over) -> Self {
        Line { ended: Arc::default(), over, kept: Arc::default() }
    }
    /// The program is gone.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }
    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
    /// Nobody wants the result any more.
    pub fn is_over(&self) -> bool {
        (self.over)()
    }
    /// Leaves a pipe open until the program has been ended: its end would look like a good one.
    pub fn keep(&self, pipe: Writer) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(pipe.file);
    }
    fn go_on(&self) -> io::Result<()> {
        match self.has_ended() || self.is_over() {
            true => Err(io::ErrorKind::BrokenPipe.into()),
            false => Ok(()),
        }
    }
}

pub fn make(path: &Path, mode: u32) -> io::Result<()> {
    mknodat(CWD, path, FileType::Fifo, Mode::from_bits_truncate(mode), 0)?;
    Ok(())
}

const NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
const LOOK_UP: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

fn wait(file: &File, what: PollFlags) -> io::Result<PollFlags> {
    let mut fds = [PollFd::new(file, what)];
    match poll(&mut fds, Some(&LOOK_UP)) {
        Ok(_) => Ok(fds[0].revents()),
        Err(Errno::INTR) => Ok(PollFlags::empty()),
        Err(e) => Err(e.into()),
    }
}

pub struct Writer {
    file: File,
    line: Line,
}

impl Writer {
    /// Opens it once the program reads from it.
    pub fn open(path: &Path, line: &Line) -> io::Result<Self> {
        let mut pause = Duration::from_micros(50);
        loop {
            match OpenOptions::new().write(true).custom_flags(NONBLOCK).open(path) {
                Ok(file) => return Ok(Writer { file, line: line.clone() }),
                Err(e) if e.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => {}
                Err(e) => return Err(e),
            }
            line.go_on()?;
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(4));
        }
    }
}

impl Write for Writer {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        loop {
            match self.file.write(buf) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
            wait(&self.file, PollFlags::OUT)?;
            self.line.go_on()?;
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub struct Reader {
    file: File,
    line: Line,
}

impl Reader {
    pub fn open(path: &Path, line: &Line) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).custom_flags(NONBLOCK).open(path)?;
        Ok(Reader { file, line: line.clone() })
    }
}

impl Read for Reader {
    /// The end is the program's closing of its side, or its own end: before it opened the pipe, a
    /// plain read would take its absence for the end.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.line.is_over() {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            let ended = self.line.has_ended();
            let seen = wait(&self.file, PollFlags::IN)?;
            if seen.intersects(PollFlags::IN | PollFlags::HUP) {
                match self.file.read(buf) {
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                    done => return done,
                }
            } else if ended {
                return Ok(0);
            }
        }
    }
}
