//! The models of slipring: one file a property. See `../README.md`.

pub(crate) mod harness;
mod p01;
mod p02;
mod p03;
mod p04;
mod p05;
mod p06;
mod p07;
mod p08;
mod p09;
mod p10;
mod p11;
mod p11_by_key;
mod p12;
mod p13;
mod p15;
mod p16;
mod p17;
mod p18;
mod p19;
pub(crate) mod shapes;

use std::process::ExitCode;

pub(crate) fn main() -> ExitCode {
    harness::main(&[
        p01::MODELS,
        p02::MODELS,
        p03::MODELS,
        p04::MODELS,
        p05::MODELS,
        p06::MODELS,
        p07::MODELS,
        p08::MODELS,
        p09::MODELS,
        p10::MODELS,
        p11::MODELS,
        p11_by_key::MODELS,
        p12::MODELS,
        p13::MODELS,
        p15::MODELS,
        p16::MODELS,
        p17::MODELS,
        p18::MODELS,
        p19::MODELS,
    ])
}
