//! Links to a RabbitMQ server, with the server itself.
#![cfg(feature = "rabbitmq")]

#[path = "../common"]
mod common {
    pub mod proxy;
    pub mod rabbit_server;
}

mod confirm;
mod fault;
mod liar;
mod refuse;
mod settle;
mod speed;
mod tools;
mod trip;
