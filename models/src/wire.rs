//! Wire: a request to a server of any kind, and its answer.

use crate::Blob;
use std::fmt;

/// What every kind's requests can be asked.
pub trait Ask: fmt::Display {
    /// The name of what is asked.
    fn name(&self) -> Blob;

    /// True if the request names this key or path.
    fn mentions(&self, key: &Blob) -> bool;

    /// True if the answer may depend on the server's wall clock otherwise than by what ends by itself.
    fn may_ask_time(&self) -> bool {
        false
    }

    /// True if the answer may tell the client a reading of the server's clock, or how much time is left of something.
    fn tells_time(&self) -> bool {
        false
    }
}

macro_rules! wire {
    ($($(#[$doc:meta])* $kind:ident $name:literal $module:ident $kept:ty: $request:ty => $response:ty;)*) => {
        /// A request to a server of any kind.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum Request { $($(#[$doc])* $kind($request),)* }

        /// A server's answer, or a message that it sends by itself.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum Response { $($(#[$doc])* $kind($response),)* }

        impl std::ops::Deref for Request {
            type Target = dyn Ask;
            fn deref(&self) -> &(dyn Ask + 'static) {
                match self { $(Request::$kind(request) => request,)* }
            }
        }

        impl fmt::Display for Response {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self { $(Response::$kind(response) => response.fmt(f),)* }
            }
        }
    };
}

each_kind!(wire);

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
