//! The ends of channels whose calls and errors are named as the standard library's are.

/// Makes [`Tx`](crate::link::Tx) and [`Rx`](crate::link::Rx) of a channel's ends for events `T`. Around it
/// there are that channel's `TrySendError` and `TryRecvError`, and what has the ends' methods if that is a
/// trait.
macro_rules! channel_ends {
    ($sender:ty, $receiver:ty) => {
        impl<T: Event> Tx<T> for End<$sender> {
            #[inline]
            fn push(&mut self, value: T) {
                if self.wait == Wait::Block {
                    assert!(self.end.send(value).is_ok(), "the receiver is gone");
                    return;
                }
                until(self.wait, || match self.end.try_send(value) {
                    Ok(()) => Some(()),
                    Err(TrySendError::Full(_)) => None,
                    Err(TrySendError::Disconnected(_)) => panic!("the receiver is gone"),
                });
            }
        }

        impl<T: Event> Rx<T> for End<$receiver> {
            #[inline]
            fn pop(&mut self) -> T {
                if self.wait == Wait::Block {
                    return self.end.recv().expect("the senders are gone");
                }
                until(self.wait, || match self.end.try_recv() {
                    Ok(value) => Some(value),
                    Err(TryRecvError::Empty) => None,
                    Err(TryRecvError::Disconnected) => panic!("the senders are gone"),
                })
            }
        }
    };
}

/// Makes [`Shared`](crate::link::Shared) of a receiving end as above.
macro_rules! shared_end {
    ($receiver:ty) => {
        impl<T: Event> Shared<T> for End<$receiver> {
            #[inline]
            fn next(&mut self) -> Option<T> {
                if self.wait == Wait::Block {
                    return self.end.recv().ok();
                }
                until(self.wait, || match self.end.try_recv() {
                    Ok(value) => Some(Some(value)),
                    Err(TryRecvError::Empty) => None,
                    Err(TryRecvError::Disconnected) => Some(None),
                })
            }
        }
    };
}

pub(super) use {channel_ends, shared_end};
