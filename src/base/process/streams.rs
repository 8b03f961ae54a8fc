//! A program that prints bytes, or is given bytes: the two ends of a source that is saved by one
//! command and restored by another.

use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::process::Stdio;

use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe;
use tokio::sync::mpsc::Receiver;
use tokio::sync::mpsc::Sender;
use tokio::time::timeout;

use crate::base::error::Context as _;
use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::lines::Lines;
use crate::base::process::DRAIN;
use crate::base::process::End;
use crate::base::process::Ended;
use crate::base::process::KEPT_LINES;
use crate::base::process::Process;
use crate::base::rooms;

impl Process {
    /// Runs it to its end, and sends what it prints in pieces of so many bytes, the last one
    /// smaller. The lines that it complains in are kept. Dropped, it is ended.
    ///
    /// When it has ended well, what it printed is read to the end: something that it left running
    /// must not hold its output for longer than its time limit. What one that failed printed is no
    /// use to anybody, and the rest of it is left.
    pub async fn printing(&self, pieces: Sender<Vec<u8>>, bytes: usize) -> Result<Ended> {
        let (output, to_output) = self.pipe()?;
        let (errors, to_errors) = self.pipe()?;
        let mut running = self.start(Stdio::null(), to_output.into(), to_errors.into())?;
        let told = |_: &str| {};
        let mut lines = Lines::new(KEPT_LINES, &told);
        let both = async {
            let mut reading = pin!(send(output, pieces, bytes));
            let mut ending = pin!(running.end(pending()));
            tokio::select! {
                read = &mut reading => {
                    read.context(|| self.cannot_read())?;
                    ending.await
                }
                end = &mut ending => match end? {
                    end if end.is_success() => {
                        let read = timeout(self.limit, reading).await;
                        let held = "something that it started holds its output open";
                        read.map_err(|_| Error::failed(self.cannot_read()).hint(held))?
                            .context(|| self.cannot_read())?;
                        Ok(end)
                    }
                    end => Ok(end),
                }
            }
        };
        let end = told_of(both, errors, &mut lines).await?;
        let (output, omitted) = lines.kept();
        Ok(Ended { end, output, omitted })
    }

    /// Runs it to its end, and gives it these pieces, which are so many bytes together. The lines
    /// that it prints are kept. Dropped, it is ended.
    ///
    /// Where fewer bytes come it is ended too: it would take the end of its input for the end of
    /// what it was to be given. One that ends well without having read everything has failed.
    pub async fn given(&self, pieces: Receiver<Vec<u8>>, bytes: u64) -> Result<Ended> {
        let cannot = || format!("cannot give {} its input", self.name);
        let (from_input, input) = io::pipe().context(cannot)?;
        // It outlives the program: nobody takes an input that breaks off for one that is complete.
        let mut input = Some(pipe::Sender::from_owned_fd(OwnedFd::from(input)).context(cannot)?);
        let (printed, to_output) = self.pipe()?;
        let to_errors = to_output.try_clone().context(cannot)?;
        let mut running = self.start(from_input.into(), to_output.into(), to_errors.into())?;
        let told = |_: &str| {};
        let mut lines = Lines::new(KEPT_LINES, &told);
        let both = async {
            let mut feeding = pin!(feed(&mut input, pieces, bytes));
            let mut ending = pin!(running.end(pending()));
            tokio::select! {
                fed = &mut feeding => match fed? {
                    Fed::All => ending.await,
                    Fed::Refused => without_all(ending.await?, &cannot()),
                },
                // What it had not read when it ended stays in the pipe, and breaks it.
                end = &mut ending => match timeout(DRAIN, feeding).await {
                    Ok(Ok(Fed::All)) => end,
                    Ok(Err(error)) => Err(error),
                    Ok(Ok(Fed::Refused)) | Err(_) => without_all(end?, &cannot()),
                },
            }
        };
        let end = told_of(both, printed, &mut lines).await?;
        let (output, omitted) = lines.kept();
        Ok(Ended { end, output, omitted })
    }

    fn cannot_read(&self) -> String {
        format!("cannot read what {} prints", self.name)
    }
}

/// Waits for the work of a program while the lines of one of its streams are read.
async fn told_of(
    work: impl Future<Output = Result<End>>,
    stream: pipe::Receiver,
    lines: &mut Lines<'_>,
) -> Result<End> {
    let mut reading = pin!(lines.read(stream));
    let mut work = pin!(work);
    tokio::select! {
        end = &mut work => {
            // What it started may hold its output for as long as it lives.
            _ = timeout(DRAIN, reading).await;
            end
        }
        () = &mut reading => work.await,
    }
}

/// Sends all that comes out of a stream, in pieces of so many bytes.
async fn send(mut stream: pipe::Receiver, pieces: Sender<Vec<u8>>, bytes: usize) -> io::Result<()> {
    loop {
        let mut piece = rooms::take(bytes);
        while piece.len() < bytes {
            let rest = (bytes - piece.len()) as u64;
            if (&mut stream).take(rest).read_buf(&mut piece).await? == 0 {
                break;
            }
        }
        let is_last = piece.len() < bytes;
        // Whoever takes the pieces has failed, and says why itself.
        if !piece.is_empty() && pieces.send(piece).await.is_err() {
            return Ok(());
        }
        if is_last {
            return Ok(());
        }
    }
}

/// What became of what a program was given.
enum Fed {
    /// All of it is in its input.
    All,
    /// It took no more.
    Refused,
}

/// Gives a program its input, and ends that when all of it is given.
async fn feed(
    input: &mut Option<pipe::Sender>,
    mut pieces: Receiver<Vec<u8>>,
    mut bytes: u64,
) -> Result<Fed> {
    while let (Some(stream), Some(piece)) = (input.as_mut(), pieces.recv().await) {
        if stream.write_all(&piece).await.is_err() {
            return Ok(Fed::Refused);
        }
        bytes = bytes.saturating_sub(piece.len() as u64);
    }
    if bytes > 0 {
        return Err(Error::failed(format!("{bytes} bytes of its input are missing")));
    }
    *input = None;
    Ok(Fed::All)
}

/// Returns how a program ended that did not read its whole input: never well.
fn without_all(end: End, cannot: &str) -> Result<End> {
    if end.is_success() {
        return Err(Error::failed(format!("{cannot}: it ended before it had read all of it")));
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::mpsc;

    use super::*;

    fn shell(command: &str) -> Process {
        Process::shell(command, Duration::from_secs(30))
    }

    async fn printed(process: &Process, bytes: usize) -> (Result<Ended>, Vec<Vec<u8>>) {
        let (sender, mut receiver) = mpsc::channel(1);
        let taking = async {
            let mut pieces = Vec::new();
            while let Some(piece) = receiver.recv().await {
                pieces.push(piece);
            }
            pieces
        };
        tokio::join!(process.printing(sender, bytes), taking)
    }

    async fn given(process: &Process, pieces: &[&[u8]], bytes: u64) -> Result<Ended> {
        let (sender, receiver) = mpsc::channel(1);
        let giving = async move {
            for piece in pieces {
                if sender.send(piece.to_vec()).await.is_err() {
                    return;
                }
            }
        };
        tokio::join!(process.given(receiver, bytes), giving).0
    }

    #[tokio::test]
    async fn what_a_program_prints_comes_in_pieces_and_what_it_complains_of_is_kept() {
        let command = "printf 1234; sleep 0.2; printf 567890; echo why >&2";
        let (ended, pieces) = printed(&shell(command), 4).await;
        assert_eq!(pieces, [&b"1234"[..], b"5678", b"90"]);
        let ended = ended.unwrap();
        assert_eq!((ended.end, ended.output), (End::Exit(0), vec!["why".to_owned()]));
        let (ended, _) = printed(&shell("printf 12345; echo why >&2; exit 3"), 4).await;
        let ended = ended.unwrap();
        assert_eq!((ended.end, ended.output), (End::Exit(3), vec!["why".to_owned()]));
        let (ended, pieces) = printed(&shell("true"), 4).await;
        assert!(ended.unwrap().is_success() && pieces.is_empty());
    }

    #[tokio::test]
    async fn more_than_a_pipe_holds_comes_through_both_ways() {
        let (ended, pieces) = printed(&shell("head -c 3000000 /dev/zero"), 1 << 20).await;
        assert!(ended.unwrap().is_success());
        assert_eq!(pieces.concat(), vec![0; 3_000_000]);
        let counted =
            given(&shell("wc -c"), &[&vec![7; 2_000_000], &vec![8; 1_000_000]], 3_000_000).await;
        assert_eq!(counted.unwrap().output, ["3000000"]);
    }

    #[tokio::test]
    async fn a_program_that_takes_too_long_is_ended() {
        let limit = Duration::from_millis(100);
        let (ended, _) = printed(&Process::shell("echo; sleep 60", limit), 4).await;
        assert_eq!(ended.unwrap().end, End::Overtime(limit));
        let ended = given(&Process::shell("cat; sleep 60", limit), &[b"x"], 1).await;
        assert_eq!(ended.unwrap().end, End::Overtime(limit));
    }

    #[tokio::test]
    async fn a_program_whose_input_breaks_off_never_sees_it_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("complete");
        let command = shell(&format!("cat; touch {}", file.display()));
        let error = given(&command, &[b"12"], 3).await.unwrap_err();
        assert_eq!(error.to_string(), "1 bytes of its input are missing");
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!file.exists(), "it took the end for its end");
        assert!(given(&command, &[b"12", b"3"], 3).await.unwrap().is_success());
        assert!(file.exists());
    }

    #[tokio::test]
    async fn a_program_that_ends_well_without_its_whole_input_has_failed() {
        let input = vec![0; 1 << 20];
        let error = given(&shell("head -c 1"), &[&input], 1 << 20).await.unwrap_err();
        assert!(error.to_string().ends_with("before it had read all of it"), "{error}");
        let ended = given(&shell("exit 4"), &[&input], 1 << 20).await.unwrap();
        assert_eq!(ended.end, End::Exit(4));
    }
}
