//! Inputs for the tests, and looking into what comes out.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use component_bridge::{BridgeError, Bridged, Options, bridge};
use serde_json::Value;
use wasmparser::{Validator, WasmFeatures};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve, WorldId};

/// A component of the only world in `wit` whose functions all trap.
pub fn dummy_component(wit: &str) -> Vec<u8> {
    encode(&dummy_core_module(wit)).unwrap_or_else(|error| panic!("{error:#}\n{wit}"))
}

/// A component of one of several worlds.
pub fn dummy_component_of(resolve: &Resolve, world: WorldId) -> anyhow::Result<Vec<u8>> {
    let abi = ManglingAndAbi::Legacy(LiftLowerAbi::Sync);
    let mut module = dummy_module(resolve, world, abi);
    embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8)?;
    encode(&module)
}

fn encode(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    ComponentEncoder::default()
        .merge_imports_based_on_semver(false)
        .module(module)?
        .validate(true)
        .encode()
}

/// The same as a core module that carries its world.
pub fn dummy_core_module(wit: &str) -> Vec<u8> {
    with_world(wit, |resolve, world| {
        dummy_module(resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync))
    })
}

/// A core module in text form, with the only world in `wit`.
pub fn core_module(wit: &str, wat: &str) -> Vec<u8> {
    with_world(wit, |_, _| wat::parse_str(wat).unwrap())
}

fn with_world(wit: &str, module: impl FnOnce(&Resolve, WorldId) -> Vec<u8>) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("test.wit", wit).unwrap();
    let world = resolve.select_world(&[package], None).unwrap();
    let mut module = module(&resolve, world);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    module
}

/// Bridges with the default options.
pub fn bridge_default(input: &[u8]) -> Result<Bridged, BridgeError> {
    bridge(input, &Options::default())
}

/// Bridges what must work, checks the composed component and returns the description.
pub fn describe(input: &[u8]) -> Value {
    let bridged = bridge_default(input).unwrap_or_else(|error| panic!("{error}"));
    check(&bridged);
    serde_json::from_str(&bridged.description).unwrap()
}

/// The composed component is valid without proposals that we do not enable, and its
/// interface is what the guest runtime expects.
pub fn check(bridged: &Bridged) {
    let mut features = WasmFeatures::default();
    features.remove(WasmFeatures::THREADS | WasmFeatures::CM_ASYNC);
    features.insert(WasmFeatures::CM_MAP);
    Validator::new_with_features(features)
        .validate_all(&bridged.component)
        .unwrap_or_else(|error| panic!("composed component: {error}"));
    let description: Value = serde_json::from_str(&bridged.description).unwrap();
    let imports_host = description["transfer_pages"]["import"] != 0;
    let calls = description["call_count"].as_u64().unwrap();
    let world = world_of(&bridged.component);
    assert_eq!(
        world,
        expected_world(imports_host, usize::try_from(calls).unwrap())
    );
}

/// Functions of the imported and exported interfaces of a component.
fn world_of(component: &[u8]) -> Vec<String> {
    let wit_component::DecodedWasm::Component(resolve, world) =
        wit_component::decode(component).unwrap()
    else {
        panic!("not a component");
    };
    let world = &resolve.worlds[world];
    let mut lines = Vec::new();
    for (direction, items) in [("import", &world.imports), ("export", &world.exports)] {
        for (key, item) in items {
            let wit_parser::WorldItem::Interface { id, .. } = item else {
                panic!("an item outside any interface: {key:?}");
            };
            let interface = &resolve.interfaces[*id];
            assert!(interface.types.is_empty(), "no types may be left");
            let name = resolve.name_world_key(key);
            lines.push(format!("{direction} {name}"));
            for (name, function) in &interface.functions {
                let params = function.params.iter().map(|param| param.ty);
                let params: Vec<_> = params.collect();
                lines.push(format!("{name} {params:?} {:?}", function.result));
            }
        }
    }
    lines
}

fn expected_world(imports_host: bool, calls: usize) -> Vec<String> {
    let mut lines = Vec::new();
    if imports_host {
        lines.push("import hlwasm:bridge/host".to_owned());
        lines.push("host-call [U32, U32] Some(U32)".to_owned());
    }
    lines.push("export hlwasm:bridge/guest".to_owned());
    lines.extend((0..calls).map(|call| format!("call{call} [] None")));
    lines
}

/// What is refused: the item and the message.
pub fn refusal(input: &[u8]) -> (String, String) {
    match bridge_default(input) {
        Err(BridgeError::Unsupported { item, message }) => (item, message),
        other => panic!("expected a refusal, got {other:?}"),
    }
}
