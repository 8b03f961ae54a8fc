//! The login of a connection that carries rows.

use std::io;

use mysql_async::Error as ClientError;
use mysql_async::consts::CapabilityFlags;
use mysql_async::consts::MariadbCapabilities;
use mysql_common::io::ParseBuf;
use mysql_common::packets::AuthPlugin;
use mysql_common::packets::AuthSwitchRequest;
use mysql_common::packets::HandshakePacket;
use mysql_common::packets::HandshakeResponse;
use mysql_common::packets::SslRequest;
use mysql_common::proto::MySerialize;
use rustix::net::sockopt::set_socket_send_buffer_size;
use tokio::net::UnixStream;

use crate::source::mariadb::infile::Offer;
use crate::source::mariadb::login::Address;
use crate::source::mariadb::login::Login;
use crate::source::mariadb::login::Secret;
use crate::source::mariadb::wire::CAPABILITIES;
use crate::source::mariadb::wire::END;
use crate::source::mariadb::wire::OK;
use crate::source::mariadb::wire::Outcome;
use crate::source::mariadb::wire::Result;
use crate::source::mariadb::wire::Wire;
use crate::source::mariadb::wire::answered;
use crate::source::mariadb::wire::far;
use crate::source::mariadb::wire::packets::Packets;
use crate::source::mariadb::wire::packets::Stream;

/// How a password is proven. The password itself is never sent, encrypted or not.
const PLUGIN: AuthPlugin<'static> = AuthPlugin::MysqlNativePassword;

/// What is asked of a server that can do it.
const MORE_CAPABILITIES: MariadbCapabilities =
    MariadbCapabilities::MARIADB_CLIENT_STMT_BULK_OPERATIONS;

/// What a socket holds on its way to a server beside us, in bytes: of the kernel's own choice, half of
/// this, a bulk does not fit, and the server would wait for the rest of it until we run again. It is
/// what an unchanged kernel allows, which counts twice what it holds.
const SEND_BUFFER_BYTES: usize = 208 << 10;

/// `utf8mb4_general_ci`, which every server knows.
const COLLATION: u8 = 45;

impl Wire {
    /// Logs in, where the server wants nothing that only the client can do.
    pub(in crate::source::mariadb) async fn log_in(
        login: &Login,
        offer: Offer,
        longest_packet: usize,
    ) -> Result<Self> {
        let stream: Box<dyn Stream> = match &login.server {
            Address::Socket(path) => {
                let stream = UnixStream::connect(path).await?;
                set_socket_send_buffer_size(&stream, SEND_BUFFER_BYTES).map_err(io::Error::from)?;
                Box::new(stream)
            }
            Address::Tcp { host, port } => Box::new(far::connect(host, *port).await?),
        };
        let mut packets = Packets::new(stream, longest_packet);
        let packet = answered(packets.next().await?)?;
        let greeting = ParseBuf(packet).parse::<HandshakePacket<'_>>(())?.into_owned();
        let longest = u32::try_from(longest_packet).unwrap_or(u32::MAX);
        let more = greeting.mariadb_ext_capabilities() & MORE_CAPABILITIES;
        let mut capabilities = greeting.capabilities() & CAPABILITIES;
        if let (Address::Tcp { host, .. }, Some(tls)) = (&login.server, &login.tls) {
            far::demand_encryption(greeting.capabilities())?;
            capabilities |= CapabilityFlags::CLIENT_SSL;
            let request = SslRequest::new(capabilities, longest, COLLATION);
            send(&mut packets, &request.with_mariadb_capabilities(more)).await?;
            packets = far::encrypt(packets, tls, host).await?;
        }
        let password = login.password.as_ref().map(Secret::reveal);
        let proof = PLUGIN.gen_data(password, &greeting.nonce());
        let response = HandshakeResponse::new(
            proof.as_deref(),
            (5, 5, 5),
            Some(login.user.as_bytes()),
            None::<&[u8]>,
            Some(PLUGIN),
            capabilities,
            None,
            longest,
        );
        send(&mut packets, &response.with_mariadb_ext_capabilities(more)).await?;
        be_admitted(&mut packets, password).await?;
        Ok(Self {
            packets,
            id: greeting.connection_id(),
            query: None,
            ahead: None,
            offer,
            takes_bulks: more == MORE_CAPABILITIES,
            outcome: Outcome::default(),
        })
    }
}

/// Waits until the server lets us in, and proves once more who we are where it asks for that.
async fn be_admitted(packets: &mut Packets, password: Option<&str>) -> Result<()> {
    let mut packet = answered(packets.next().await?)?;
    if packet.first() == Some(&END) {
        let other: AuthSwitchRequest<'_> = ParseBuf(packet).parse(())?;
        if other.auth_plugin() != PLUGIN {
            return Err(beyond_us("the account logs in by another plugin"));
        }
        let proof = PLUGIN.gen_data(password, other.plugin_data());
        let proof = proof.as_deref().unwrap_or_default().to_vec();
        packets.send(&proof).await?;
        packet = answered(packets.next().await?)?;
    }
    match packet.first() {
        Some(&OK) => Ok(()),
        _ => Err(beyond_us("the account wants more than one proof")),
    }
}

async fn send(packets: &mut Packets, packet: &impl MySerialize) -> Result<()> {
    let mut bytes = Vec::new();
    packet.serialize(&mut bytes);
    Ok(packets.send(&bytes).await?)
}

/// Returns the error of a login that the client has to try.
fn beyond_us(why: &str) -> ClientError {
    ClientError::Io(io::Error::new(io::ErrorKind::Unsupported, why).into())
}
