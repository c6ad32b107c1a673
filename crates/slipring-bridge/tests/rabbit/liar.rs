//! A server that says what a test wants: confirms in an order in which a real one hardly ever sends them.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    thread,
};

use slipring_bridge::{Connect, LinkError, Outgoing, RabbitOutlet, Unrouted};

use crate::tools::*;

/// What it says when it has got everything.
#[derive(Clone, Copy, Debug)]
enum Word {
    /// It gives one back.
    Return(u64),
    Ack {
        tag: u64,
        multiple: bool,
    },
}

const METHOD: u8 = 1;
const HEADER: u8 = 2;

fn frame(kind: u8, channel: u16, content: &[u8]) -> Vec<u8> {
    let size = u32::try_from(content.len()).unwrap();
    let mut frame = vec![kind];
    frame.extend(channel.to_be_bytes());
    frame.extend(size.to_be_bytes());
    frame.extend(content);
    frame.push(0xCE);
    frame
}

fn method(channel: u16, class: u16, id: u16, arguments: &[u8]) -> Vec<u8> {
    let mut content = [class.to_be_bytes(), id.to_be_bytes()].concat();
    content.extend(arguments);
    frame(METHOD, channel, &content)
}

fn short(text: &str) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

fn long(text: &[u8]) -> Vec<u8> {
    [&u32::try_from(text.len()).unwrap().to_be_bytes(), text].concat()
}

impl Word {
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Return(tag) => {
                let arguments =
                    [312_u16.to_be_bytes().to_vec(), short("NO_ROUTE"), short("x"), short("y")];
                let mut bytes = method(1, 60, 50, &arguments.concat());
                let text = long(tag.to_string().as_bytes());
                let headers = [short("slipring-sequence"), b"S".to_vec(), text].concat();
                let mut content = 60_u16.to_be_bytes().to_vec();
                content.extend([0; 10]);
                content.extend(0x2000_u16.to_be_bytes());
                content.extend(long(&headers));
                bytes.extend(frame(HEADER, 1, &content));
                bytes
            }
            Self::Ack { tag, multiple } => {
                let arguments = [&tag.to_be_bytes()[..], &[u8::from(multiple)]].concat();
                method(1, 60, 80, &arguments)
            }
        }
    }
}

/// Reads a frame, and says which method it is; 0 and 0 for what is none.
fn read(stream: &mut TcpStream) -> Option<(u16, u16)> {
    let mut head = [0; 7];
    stream.read_exact(&mut head).ok()?;
    let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
    let mut content = vec![0; usize::try_from(size).unwrap() + 1];
    stream.read_exact(&mut content).ok()?;
    let number = |at: usize| u16::from_be_bytes([content[at], content[at + 1]]);
    Some(if head[0] == METHOD { (number(0), number(2)) } else { (0, 0) })
}

/// Listens for one program, has so many published, says all that, and goes.
fn liar(count: u64, words: Vec<Word>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 8]).unwrap();
        let start = [vec![0, 9], long(b""), long(b"PLAIN"), long(b"en_US")].concat();
        stream.write_all(&method(0, 10, 10, &start)).unwrap();
        let mut published = 0;
        while published < count {
            let answer = match read(&mut stream).unwrap() {
                (10, 11) => method(0, 10, 30, &[0, 0, 0, 0, 0x10, 0, 0, 0]),
                (10, 40) => method(0, 10, 41, &short("")),
                (20, 10) => method(1, 20, 11, &long(b"")),
                (40, 10) => method(1, 40, 11, &[]),
                (85, 10) => method(1, 85, 11, &[]),
                (60, 40) => {
                    published += 1;
                    continue;
                }
                _ => continue,
            };
            stream.write_all(&answer).unwrap();
        }
        // The headers and bodies of the last ones.
        let all: Vec<u8> = words.into_iter().flat_map(Word::bytes).collect();
        stream.write_all(&all).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        while read(&mut stream).is_some() {}
    });
    port
}

/// Publishes so many, and says how many are confirmed before something else comes, and what.
fn confirmed(count: u64, words: Vec<Word>) -> (u64, Option<LinkError>) {
    run(async {
        let outlet = RabbitOutlet::to_exchange(at(liar(count, words)), "events").unwrap();
        let mut link = outlet.unrouted(Unrouted::SetAside).connect().await.unwrap();
        // It may have gone before the last one is written.
        let submitted = link.submit(&parcels(1..=count)).await;
        let mut confirmed = 0;
        if let Err(error) = submitted {
            return (confirmed, Some(error));
        }
        while confirmed < count {
            match link.confirmed().await {
                Ok(more) => confirmed += u64::try_from(more).unwrap(),
                Err(error) => return (confirmed, Some(error)),
            }
        }
        (confirmed, None)
    })
}

#[test]
fn what_comes_back_may_be_told_with_another_confirm() {
    let ack = |tag| Word::Ack { tag, multiple: false };
    // The client gives what comes back to the next confirm that it sees: to the fourth, in front of which is another.
    let (good, error) = confirmed(5, vec![Word::Return(2), ack(4), ack(1), ack(2)]);
    assert_eq!(good, 1);
    assert!(matches!(error, Some(LinkError::Unsendable { sequence: 2, .. })), "{error:?}");
}

#[test]
fn whatever_the_order_of_confirms_no_more_than_a_good_prefix_counts() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut named, mut expected) = (0, 0);
    for _ in 0..100 {
        let count = random.u64(1..30);
        let lost: BTreeSet<u64> = (1..=count).filter(|_| random.u8(..) < 50).collect();
        let (mut open, mut returned): (BTreeSet<u64>, _) = ((1..=count).collect(), 0);
        let mut words = Vec::new();
        for _ in 0..random.u64(0..=count) {
            let Some(&tag) = random.choice(&open) else { break };
            let multiple = random.u8(..) < 60;
            // A real one gives back in the order in which it got them, and each before its confirm.
            let some_more = tag.max(returned).max(random.u64(..=count));
            let back = lost.iter().filter(|tag| (returned + 1..=some_more).contains(tag));
            words.extend(back.map(|tag| Word::Return(*tag)));
            returned = some_more;
            words.push(Word::Ack { tag, multiple });
            open.retain(|other| if multiple { *other > tag } else { *other != tag });
        }
        let first_open = open.first().copied().unwrap_or(count + 1);
        let first_lost = lost.first().copied().unwrap_or(count + 1);
        expected += u32::from(first_lost < first_open);
        let told = words.clone();
        let (good, error) = confirmed(count, words);
        // The link may fail before it has heard all of it; then it says less.
        match error {
            Some(LinkError::Unsendable { sequence, .. }) => {
                assert_eq!((sequence, good), (first_lost, first_lost - 1), "{told:?}");
                assert!(first_lost < first_open, "{told:?}");
                named += 1;
            }
            Some(LinkError::Lost { .. }) => {
                assert!(good < first_lost.min(first_open), "{good} of {told:?}");
            }
            None => assert!(first_lost > count && first_open > count, "{told:?}"),
            error => panic!("{error:?} for {told:?}"),
        }
    }
    assert!(named * 2 > expected, "it has heard {named} of {expected}");
}
