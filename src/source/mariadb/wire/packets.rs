//! Packets of the protocol on a stream: read where they arrived, without a copy.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::Context;
use std::task::Waker;

use rustls::pki_types::ServerName;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt as _;
use tokio_rustls::TlsConnector;

/// Length and number of a packet, before its bytes.
pub(in crate::source::mariadb) const HEADER_BYTES: usize = 4;

/// A packet of this length goes on in the next one.
const LONGEST_PART: usize = (1 << 24) - 1;

/// What is read at once, where as much has arrived.
const USUAL_BYTES: usize = 256 << 10;

/// A large row is given its memory for so long only.
const KEPT_BYTES: usize = 4 << 20;

/// Packets that arrived together.
pub(in crate::source::mariadb) enum Batch<'a> {
    /// One that came in several parts.
    One(&'a [u8]),
    /// All others.
    Frames(Frames<'a>),
}

/// Packets, each behind its header, in which its number is 0.
#[derive(Clone, Default)]
pub(in crate::source::mariadb) struct Frames<'a>(pub(in crate::source::mariadb) &'a [u8]);

impl Frames<'_> {
    /// Returns their size with their headers, in bytes.
    pub(in crate::source::mariadb) const fn bytes(&self) -> u64 {
        self.0.len() as u64
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (header, rest) = self.0.split_first_chunk()?;
        let (packet, rest) = rest.split_at_checked(length(*header))?;
        self.0 = rest;
        Some(packet)
    }
}

/// Returns the length of the packet behind a header.
fn length([low, middle, high, _]: [u8; HEADER_BYTES]) -> usize {
    usize::from(low) | usize::from(middle) << 8 | usize::from(high) << 16
}

/// What packets come and go through.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// The packets of one connection.
pub(super) struct Packets {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
    /// What of the buffer has arrived and was not yet taken.
    arrived: Range<usize>,
    /// Where the packet that came last lies in the buffer; `None` where it was joined.
    current: Option<Range<usize>>,
    /// A packet that came in several parts.
    joined: Vec<u8>,
    /// The number that the next packet has.
    number: u8,
    longest: usize,
}

impl Packets {
    /// Returns the packets of a stream; one that is longer than `longest` is refused.
    pub(super) fn new(stream: Box<dyn Stream>, longest: usize) -> Self {
        let buffer = vec![0; USUAL_BYTES];
        let joined = Vec::new();
        Self { stream, buffer, arrived: 0..0, current: None, joined, number: 0, longest }
    }

    /// Returns the packets that follow by TLS, with a server that has this name. What was said in
    /// clear beyond what was waited for is of somebody in between.
    pub(super) async fn encrypted(
        self,
        by: &TlsConnector,
        name: ServerName<'static>,
    ) -> io::Result<Self> {
        if !self.arrived.is_empty() {
            return Err(malformed("more was said in clear than a greeting"));
        }
        Ok(Self { stream: Box::new(by.connect(name, self.stream).await?), ..self })
    }

    /// Sends a command, with which the numbers of packets begin anew.
    pub(super) async fn send_command(&mut self, command: &[u8]) -> io::Result<()> {
        self.number = 0;
        self.send(command).await
    }

    /// Sends a command while the answer to another one is read.
    pub(super) async fn send_ahead(&mut self, command: &[u8]) -> io::Result<()> {
        let number = self.number;
        let sent = self.send_command(command).await;
        self.number = number;
        sent
    }

    /// Sends a short command as far as that is possible without waiting; nobody hears whether it was.
    pub(super) fn try_send_command(&mut self, command: &[u8]) {
        let length = u8::try_from(command.len()).unwrap_or_default();
        let packet = [&[length, 0, 0, 0], command].concat();
        let mut context = Context::from_waker(Waker::noop());
        // A server that is gone, or has not read what came before, needs no goodbye.
        let _sent = Pin::new(&mut self.stream).poll_write(&mut context, &packet);
    }

    /// Sends a packet that answers one.
    pub(super) async fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        let length = u32::try_from(packet.len()).ok().filter(|_| packet.len() < LONGEST_PART);
        let [low, middle, high, _] = length.ok_or(io::ErrorKind::InvalidInput)?.to_le_bytes();
        let header = [low, middle, high, self.number];
        self.number = self.number.wrapping_add(1);
        self.stream.write_all(&[&header, packet].concat()).await?;
        self.stream.flush().await
    }

    /// Sends a command in whose bytes there is room for the header.
    pub(super) async fn send_framed(&mut self, frame: &mut [u8]) -> io::Result<()> {
        let length = frame.len() - HEADER_BYTES;
        let length = u32::try_from(length).ok().filter(|_| length < LONGEST_PART);
        let [low, middle, high, _] = length.ok_or(io::ErrorKind::InvalidInput)?.to_le_bytes();
        frame[..HEADER_BYTES].copy_from_slice(&[low, middle, high, 0]);
        self.stream.write_all(frame).await?;
        self.stream.flush().await
    }

    /// Lets nothing more be sent.
    pub(super) async fn shut(&mut self) {
        // A server that is gone has heard enough.
        self.stream.shutdown().await.ok();
    }

    /// Awaits the first packet that answers a command, where others were sent meanwhile.
    pub(super) const fn expect_answer(&mut self) {
        self.number = 1;
    }

    /// Returns the next packet.
    pub(super) async fn next(&mut self) -> io::Result<&[u8]> {
        let mut part = self.next_part().await?;
        if part.len() < LONGEST_PART {
            self.current = Some(part);
            self.joined = Vec::new();
            return Ok(self.current());
        }
        self.current = None;
        self.joined = self.buffer[part.clone()].to_vec();
        while part.len() == LONGEST_PART {
            part = self.next_part().await?;
            if self.joined.len() + part.len() > self.longest {
                // Whatever comes next is in the midst of it.
                self.shut().await;
                return Err(malformed("a packet is larger than max_allowed_packet"));
            }
            self.joined.extend_from_slice(&self.buffer[part.clone()]);
        }
        Ok(self.current())
    }

    /// Returns the current packet, and those behind it that have arrived whole and begin as it does.
    pub(super) fn together(&mut self) -> io::Result<Batch<'_>> {
        let Some(current) = self.current.clone() else { return Ok(Batch::One(&self.joined)) };
        let from = current.start - HEADER_BYTES;
        let first = self.buffer[current.start..current.end].first().copied();
        // Equal rows are equal bytes, wherever in a result they come.
        self.buffer[current.start - 1] = 0;
        while let Some(packet) = self.next_whole().filter(|it| first == Some(self.buffer[it.start]))
        {
            if self.buffer[packet.start - 1] != self.number {
                return Err(malformed("packets are out of order"));
            }
            self.number = self.number.wrapping_add(1);
            self.buffer[packet.start - 1] = 0;
            self.arrived.start = packet.end;
        }
        Ok(Batch::Frames(Frames(&self.buffer[from..self.arrived.start])))
    }

    /// Returns where the next packet lies that has bytes, is no part of a longer one and has arrived.
    fn next_whole(&self) -> Option<Range<usize>> {
        let arrived = &self.buffer[self.arrived.clone()];
        let length = length(*arrived.first_chunk()?);
        let start = self.arrived.start + HEADER_BYTES;
        let is_whole =
            (1..LONGEST_PART).contains(&length) && HEADER_BYTES + length <= arrived.len();
        is_whole.then(|| start..start + length)
    }

    /// Returns the packet that came last.
    pub(super) fn current(&self) -> &[u8] {
        self.current.as_ref().map_or(&self.joined, |range| &self.buffer[range.clone()])
    }

    async fn next_part(&mut self) -> io::Result<Range<usize>> {
        self.wait_for(HEADER_BYTES).await?;
        let header = self.buffer[self.arrived.start..].first_chunk();
        let header = *header.expect("it has been awaited");
        let length = length(header);
        if header[HEADER_BYTES - 1] != self.number {
            return Err(malformed("packets are out of order"));
        }
        self.wait_for(HEADER_BYTES + length).await?;
        self.number = self.number.wrapping_add(1);
        let start = self.arrived.start + HEADER_BYTES;
        self.arrived.start = start + length;
        Ok(start..self.arrived.start)
    }

    async fn wait_for(&mut self, length: usize) -> io::Result<()> {
        while self.arrived.len() < length {
            self.make_room(length);
            let read = self.stream.read(&mut self.buffer[self.arrived.end..]).await?;
            if read == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "connection closed"));
            }
            self.arrived.end += read;
        }
        Ok(())
    }

    /// Moves what has arrived to the front, where there is no room behind it.
    fn make_room(&mut self, length: usize) {
        if self.buffer.len() - self.arrived.start < length || self.arrived.is_empty() {
            self.buffer.copy_within(self.arrived.clone(), 0);
            self.arrived = 0..self.arrived.len();
        }
        if self.buffer.len() < length {
            self.buffer.resize(length.max(USUAL_BYTES), 0);
        } else if self.buffer.len() > KEPT_BYTES && length.max(self.arrived.len()) < USUAL_BYTES {
            self.buffer.truncate(USUAL_BYTES);
            self.buffer.shrink_to_fit();
        }
    }
}

/// Returns the error of a server that breaks the rules of the protocol.
pub(super) fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: usize = 40 << 20;

    /// Returns packets on their way, the first of them a part of this number.
    fn sent(packets: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut number = 0_u8;
        for packet in packets {
            let mut parts: Vec<&[u8]> = packet.chunks(LONGEST_PART).collect();
            if packet.len() % LONGEST_PART == 0 {
                parts.push(&[]);
            }
            for part in parts {
                bytes.extend_from_slice(&u32::try_from(part.len()).unwrap().to_le_bytes()[..3]);
                bytes.push(number);
                bytes.extend_from_slice(part);
                number = number.wrapping_add(1);
            }
        }
        bytes
    }

    async fn received(bytes: Vec<u8>, count: usize) -> io::Result<Vec<Vec<u8>>> {
        let stream = tokio_stream(bytes);
        let mut packets = Packets::new(stream, LONGEST);
        let mut all = Vec::new();
        for _ in 0..count {
            all.push(packets.next().await?.to_vec());
        }
        Ok(all)
    }

    /// Returns a stream that gives these bytes in pieces of some size, and ends.
    fn tokio_stream(bytes: Vec<u8>) -> Box<dyn Stream> {
        let (near, mut far) = tokio::io::duplex(100_003);
        tokio::spawn(async move { far.write_all(&bytes).await.ok() });
        Box::new(near)
    }

    #[tokio::test]
    async fn packets_of_any_length_come_as_they_were_sent() {
        let lengths = [
            0,
            1,
            1_000,
            USUAL_BYTES,
            7,
            LONGEST_PART - 1,
            LONGEST_PART,
            3,
            2 * LONGEST_PART,
            2 * LONGEST_PART + 5,
            9,
        ];
        let many = (0..400).map(|number| vec![7; number * 11]);
        let packets: Vec<Vec<u8>> =
            lengths.iter().map(|length| vec![42; *length]).chain(many).collect();
        let all = received(sent(&packets), packets.len()).await.unwrap();
        assert!(all == packets, "other bytes");
    }

    #[tokio::test]
    async fn packets_that_arrived_together_are_taken_together_and_look_alike() {
        let rows = (0..3_000_usize).map(|number| vec![0; 1 + number % 700]);
        let huge = vec![0; LONGEST_PART + 5];
        let mut packets: Vec<Vec<u8>> = rows.chain([huge, vec![0; 9], vec![0]]).collect();
        packets.push(vec![0xfe; 5]);
        let mut received = Packets::new(tokio_stream(sent(&packets)), LONGEST);
        let (mut all, mut batches) = (Vec::new(), 0);
        while received.next().await.unwrap()[0] == 0 {
            batches += 1;
            match received.together().unwrap() {
                Batch::One(packet) => all.push(packet.to_vec()),
                Batch::Frames(frames) => {
                    let bytes: usize = frames.clone().map(|it| it.len() + HEADER_BYTES).sum();
                    assert_eq!(bytes as u64, frames.bytes());
                    all.extend(frames.map(<[u8]>::to_vec));
                }
            }
        }
        assert_eq!(received.current(), [0xfe; 5]);
        all.push(received.current().to_vec());
        assert!(all == packets, "other bytes");
        assert!(batches < packets.len() / 10, "{batches} batches");
    }

    #[tokio::test]
    async fn equal_packets_are_equal_frames_whatever_their_numbers() {
        let packets = vec![vec![0, 1, 2]; 400];
        let mut received = Packets::new(tokio_stream(sent(&packets)), LONGEST);
        received.next().await.unwrap();
        let Batch::Frames(frames) = received.together().unwrap() else { panic!("it is none") };
        assert_eq!(frames.0, [3, 0, 0, 0, 0, 1, 2].repeat(frames.0.len() / 7));
        assert!(frames.0.len() > 7 * 300, "they have arrived");
    }

    #[tokio::test]
    async fn what_breaks_the_rules_is_an_error() {
        let mut out_of_order = sent(&[vec![1], vec![2]]);
        out_of_order[5 + 3] = 7;
        assert!(received(out_of_order, 2).await.is_err());
        assert!(received(sent(&[vec![1; LONGEST + 1]]), 1).await.is_err());
        let mut cut = sent(&[vec![1; 100]]);
        cut.truncate(50);
        let error = received(cut, 1).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn whoever_leaves_has_said_so() {
        let (near, mut far) = tokio::io::duplex(100);
        Packets::new(Box::new(near), LONGEST).try_send_command(&[1]);
        let mut heard = Vec::new();
        far.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, [1, 0, 0, 0, 1]);
    }

    #[tokio::test]
    async fn nothing_is_asked_in_the_midst_of_a_packet_that_was_too_long() {
        let stream = tokio_stream(sent(&[vec![1; LONGEST + 1]]));
        let mut packets = Packets::new(stream, LONGEST);
        let error = packets.next().await.unwrap_err();
        assert!(error.to_string().contains("larger than max_allowed_packet"), "{error}");
        packets.send_command(b"more").await.unwrap_err();
    }
}
