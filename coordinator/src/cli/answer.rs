//! Writes the answer of a command to stdout: a text, or rows as they arrive.

use std::io::{self, Write};

use super::failure::{Exit, Failure};
use crate::terminal::for_stdout;

/// Writes the answer to stdout, with one newline at the end.
pub(super) fn answer(text: impl AsRef<str>) -> Result<Exit, Failure> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{}", for_stdout(text.as_ref().trim_end())).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(Exit::Done),
        // The reader, such as `head`, has closed the pipe because it needs no more.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Done),
        Err(error) => Err(Failure::environment(format!("cannot write the answer: {error}"))),
    }
}

/// Whether JSON lines are joined to one JSON array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Array {
    Yes,
    No,
}

/// Writes rows to stdout as they arrive, because all rows may need more memory than there is.
pub(super) struct Stdout {
    out: io::BufWriter<io::Stdout>,
    array: Array,
    state: ArrayState,
}

/// The state of an array in the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ArrayState {
    Unbegun,
    InRow,
    AfterRow,
}

impl Stdout {
    pub(super) fn new(array: Array) -> Self {
        Self { out: io::BufWriter::new(io::stdout()), array, state: ArrayState::Unbegun }
    }

    pub(super) fn end(mut self, written: io::Result<()>) -> Result<Exit, Failure> {
        let end = match (self.array, self.state) {
            (Array::No, _) => "",
            (Array::Yes, ArrayState::Unbegun) => "[]\n",
            (Array::Yes, _) => "]\n",
        };
        match written.and_then(|()| self.out.write_all(end.as_bytes())).and_then(|()| self.out.flush()) {
            Ok(()) => Ok(Exit::Done),
            // The reader, such as `head`, has closed the pipe because it needs no more.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Done),
            Err(error) => Err(unwritten(error)),
        }
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.array == Array::No {
            return self.out.write(bytes);
        }
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            match self.state {
                ArrayState::Unbegun => self.out.write_all(b"[")?,
                ArrayState::InRow => {}
                ArrayState::AfterRow => self.out.write_all(b",\n")?,
            }
            let row = line.strip_suffix(b"\n");
            self.state = if row.is_some() { ArrayState::AfterRow } else { ArrayState::InRow };
            self.out.write_all(row.unwrap_or(line))?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn unwritten(error: io::Error) -> Failure {
    Failure::environment(format!("cannot write the rows: {error}"))
}
