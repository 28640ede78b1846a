//! Random WIT documents: each world of each is bridged.
//!
//! `HLWASM_FUZZ=100` tries a hundred times as many.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use arbitrary::Unstructured;
use common::{bridge_default, check, dummy_component_of};
use wit_component::DecodedWasm;
use wit_parser::Resolve;
use wit_smith::Config;

#[test]
fn all_are_bridged() {
    let factor = std::env::var("HLWASM_FUZZ").map_or(1, |factor| factor.parse().unwrap());
    let mut bridged = 0;
    for seed in 0..60 * factor {
        let Some(resolve) = random_document(seed) else {
            continue;
        };
        for (id, world) in resolve.worlds.iter() {
            // What cannot be encoded is no component: flags with more than 32 members.
            let Ok(component) = dummy_component_of(&resolve, id) else {
                continue;
            };
            match bridge_default(&component) {
                Ok(composed) => {
                    check(&composed);
                    bridged += 1;
                }
                // Labels of a proposal that the compiler lacks.
                Err(error) if error.to_string().contains("under another name") => {}
                Err(error) if error.to_string().contains("external id") => {}
                Err(error) => panic!("seed {seed}, world {}: {error}", world.name),
            }
        }
    }
    assert!(bridged > 40, "only {bridged} worlds");
}

fn random_document(seed: u64) -> Option<Resolve> {
    let config = Config {
        max_packages: 3 + usize::try_from(seed % 7).unwrap(),
        max_type_size: 100,
        ..Config::default()
    };
    let bytes = random_bytes(seed);
    let document = wit_smith::smith(&config, &mut Unstructured::new(&bytes)).ok()?;
    match wit_component::decode(&document).unwrap() {
        DecodedWasm::WitPackage(resolve, _) => Some(resolve),
        DecodedWasm::Component(..) => None,
    }
}

/// A fixed sequence for each seed (splitmix64).
fn random_bytes(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut bytes = Vec::new();
    while bytes.len() < 1 << 14 {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend((word ^ (word >> 31)).to_le_bytes());
    }
    bytes
}
