//! A TCP proxy in front of PostgreSQL that passes bytes on, or accepts and hangs, or refuses.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// What the proxy does with its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passing {
    /// Passes on what comes.
    On,
    /// Accepts connections and passes nothing on; what is open stays open and silent.
    Hangs,
    /// Closes what is open, and each new connection at once.
    Refuses,
}

/// The proxy; it ends with its runtime.
#[derive(Clone)]
pub struct Proxy {
    address: SocketAddr,
    passing: watch::Sender<Passing>,
    /// Connections that were hung and stay so for good.
    lost: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    /// Starts on a free port in front of a server.
    pub async fn before(host: String, port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let proxy = Self { address, passing: watch::Sender::new(Passing::On), lost: Arc::default() };
        let serving = proxy.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (proxy, host) = (serving.clone(), host.clone());
                tokio::spawn(async move { proxy.pass(client, (host.as_str(), port)).await });
            }
        });
        proxy
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// From now on, also for the connections that are open. Those that hung never go on.
    pub fn set(&self, passing: Passing) {
        self.passing.send_replace(passing);
    }

    async fn pass(&self, mut client: TcpStream, server: (&str, u16)) {
        let mut passing = self.passing.subscribe();
        let now = *passing.borrow_and_update();
        let copied = async {
            match now {
                Passing::On => {
                    let mut server = TcpStream::connect(server).await.expect("the server");
                    copy(&mut client, &mut server).await;
                    true
                }
                Passing::Hangs => std::future::pending().await,
                Passing::Refuses => true,
            }
        };
        let is_over = tokio::select! {
            over = copied => over,
            changed = passing.wait_for(|passing| *passing != now) => changed.is_ok_and(|passing| *passing == Passing::Refuses),
        };
        if !is_over {
            self.lost.lock().unwrap_or_else(PoisonError::into_inner).push(client);
        }
    }
}

async fn copy(client: &mut TcpStream, server: &mut TcpStream) {
    let (mut from_client, mut from_server) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => match read {
                Ok(many) if many > 0 => drop(server.write_all(&from_client[..many]).await),
                _ => return,
            },
            read = server.read(&mut from_server) => match read {
                Ok(many) if many > 0 => drop(client.write_all(&from_server[..many]).await),
                _ => return,
            },
        }
    }
}
