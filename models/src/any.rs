//! A service of any kind.

use crate::service::ServiceKind;
use serde::{Deserialize, Serialize};
use std::ops::{Deref, DerefMut};

macro_rules! services {
    ($($(#[$doc:meta])* $kind:ident $name:literal $module:ident $kept:ty: $request:ty => $response:ty;)*) => {
        /// How a service is set up.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "kind")]
        pub enum ServiceConfig {
            $($(#[$doc])* #[serde(rename = $name)] $kind(crate::$module::Config),)*
        }

        impl ServiceConfig {
            /// How many nodes it has.
            pub fn members(&self) -> u8 {
                match self { $(ServiceConfig::$kind(config) => config.members(),)* }
            }

            /// What the name of one of its nodes ends with, where there are several.
            pub fn member_name(&self, member: u8) -> String {
                match self {
                    ServiceConfig::Redis(config) => config.member_name(member),
                    _ => member.to_string(),
                }
            }
        }

        /// A simulated server of any kind, or several that keep one state together: a [`ServiceKind`].
        ///
        /// Its hash is its part of a state's fingerprint: see [`Digest`](crate::Digest). Deadlines count as they are,
        /// so the clocks must be in the fingerprint too.
        #[derive(Clone, Hash)]
        pub enum Service { $($(#[$doc])* $kind($kept),)* }

        impl Service {
            /// A service whose nodes have just started for the first time.
            pub fn new(config: &ServiceConfig) -> Self {
                match config {
                    $(ServiceConfig::$kind(config) => Service::$kind(<$kept>::from(crate::$module::start(config))),)*
                }
            }
        }

        impl Deref for Service {
            type Target = dyn ServiceKind;
            fn deref(&self) -> &dyn ServiceKind {
                match self { $(Service::$kind(service) => service.as_kind(),)* }
            }
        }

        impl DerefMut for Service {
            fn deref_mut(&mut self) -> &mut dyn ServiceKind {
                match self { $(Service::$kind(service) => service.as_kind_mut(),)* }
            }
        }
    };
}

each_kind!(services);

/// What is behind a box, or not, as its kind.
trait AsKind {
    fn as_kind(&self) -> &dyn ServiceKind;
    fn as_kind_mut(&mut self) -> &mut dyn ServiceKind;
}

impl AsKind for crate::redis::Servers {
    fn as_kind(&self) -> &dyn ServiceKind {
        match self {
            crate::redis::Servers::One(node) => node,
            crate::redis::Servers::Watched(all) => &**all,
            crate::redis::Servers::Cluster(all) => &**all,
        }
    }
    fn as_kind_mut(&mut self) -> &mut dyn ServiceKind {
        match self {
            crate::redis::Servers::One(node) => node,
            crate::redis::Servers::Watched(all) => &mut **all,
            crate::redis::Servers::Cluster(all) => &mut **all,
        }
    }
}

impl<K: ServiceKind> AsKind for K {
    fn as_kind(&self) -> &dyn ServiceKind {
        self
    }
    fn as_kind_mut(&mut self) -> &mut dyn ServiceKind {
        self
    }
}
