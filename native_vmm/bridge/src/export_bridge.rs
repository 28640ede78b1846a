//! The export bridge: a component that imports all that the user's component exports.
//!
//! `call-k` reads the parameters of one function from a record at the start of the
//! transfer memory, calls it, and leaves the result behind the record. Handles of guest
//! resources belong to this bridge; the host sees their index.

use std::collections::HashMap;

use wasm_encoder::ValType;
use wit_parser::abi::{AbiVariant, WasmSignature};
use wit_parser::{
    LiftLowerAbi, ManglingAndAbi, Resolve, ResourceIntrinsic, Type, TypeOwner, WasmExport,
    WasmExportKind, WasmImport, WorldId, WorldItem, WorldKey,
};

use crate::canonical::{HandleConversion, HandleRewriter, Layout, Place, align_up, core_types};
use crate::core_module::{Body, CoreImports, CoreModule, FunctionIndex};
use crate::encode;
use crate::error::Result;
use crate::host_handles::HostHandles;
use crate::plan::{Call, Plan, live_in_exports};
use crate::resolve_items::{add_interface, add_world, function, interface_item};
use crate::uses::Uses;
use crate::world::World;
use crate::{reserved, transfer};

/// Module name in its name section; frames of it are left out of backtraces.
const NAME: &str = "hlwasm export bridge";
const MANGLING: ManglingAndAbi = ManglingAndAbi::Legacy(LiftLowerAbi::Sync);
const I32: ValType = ValType::I32;

/// The component and what its imports stand for.
pub(crate) struct ExportBridge {
    pub(crate) component: Vec<u8>,
    pub(crate) links: Links,
}

/// What stands for the imports that are not exports of the import bridge, by name.
pub(crate) type Links = HashMap<String, Link>;

pub(crate) enum Link {
    /// An export of the user's component.
    User(String),
    /// A type that an interface of the import bridge exports.
    Type { interface: String, name: String },
}

/// Where a call's record and result lie.
pub(crate) struct CallLayout {
    /// Absolute offset of the result.
    pub(crate) result_offset: u32,
    /// One past the result.
    pub(crate) end_offset: u32,
}

impl CallLayout {
    /// The layout of a guest call.
    pub(crate) fn of(layout: &Layout<'_>, call: &Call) -> Result<Self> {
        let params = layout.record(&parameter_types(call))?;
        let result = layout.record(call.function.result.as_slice())?;
        let params_end = transfer::DATA.saturating_add(params.size);
        let result_offset = align_up(params_end, result.align)?;
        Ok(Self {
            result_offset,
            end_offset: result_offset.saturating_add(result.size),
        })
    }
}

struct Builder<'a> {
    layout: &'a Layout<'a>,
    module: CoreModule,
    /// Numbers of host resources in parameters become handles.
    make: HandleRewriter<'a>,
    /// Handles of host resources in results become numbers.
    take: HandleRewriter<'a>,
    /// Handles that were made for borrowing are taken back.
    take_back: HandleRewriter<'a>,
}

/// Builds the component.
pub(crate) fn build(
    world: &World,
    plan: &Plan,
    handles: Option<&HostHandles>,
    pages: u32,
) -> Result<ExportBridge> {
    let mut resolve = world.resolve.clone();
    let (bridge_world, links) = add_bridge_world(&mut resolve, world, plan, handles);
    let layout = Layout::new(&resolve);

    let mut imports = CoreImports::default();
    let mut make = HandleConversion::default();
    let mut take = HandleConversion::default();
    let mut take_back = HandleConversion::default();
    for handle in handles.iter().flat_map(|handles| &handles.resources) {
        let key = handles.map(HostHandles::key);
        let mut import = |func| {
            let interface = key.as_ref();
            let name = resolve.wasm_import_name(MANGLING, WasmImport::Func { interface, func });
            imports.function(name, &[I32], &[I32])
        };
        let (made, taken) = (import(&handle.make), import(&handle.take));
        make.own.insert(handle.resource, made);
        make.borrow.insert(handle.resource, made);
        take.own.insert(handle.resource, taken);
        take_back.borrow.insert(handle.resource, taken);
    }
    let mut targets = Vec::new();
    for (number, call) in plan.exports.iter().enumerate() {
        let mut func = call.function.clone();
        if call.interface.is_none() {
            func.name = function_name(number);
        }
        let signature = resolve.wasm_signature(AbiVariant::GuestImport, &func);
        let interface = call
            .interface
            .as_ref()
            .map(|interface| WorldKey::Interface(interface.id));
        let import = WasmImport::Func {
            interface: interface.as_ref(),
            func: &func,
        };
        let name = resolve.wasm_import_name(MANGLING, import);
        let parameters = core_types(&signature.params);
        let index = imports.function(name, &parameters, &core_types(&signature.results));
        targets.push((signature, index));
    }
    let mut drops = Vec::new();
    for resource in &plan.guest_resources {
        let import = WasmImport::ResourceIntrinsic {
            interface: Some(&WorldKey::Interface(resource.interface.id)),
            resource: resource.id,
            intrinsic: ResourceIntrinsic::ImportedDrop,
        };
        let name = resolve.wasm_import_name(MANGLING, import);
        drops.push(imports.function(name, &[I32], &[]));
    }

    let mut module = imports.into_module(NAME, pages);
    let realloc = transfer::define_realloc(&mut module);
    module.export("cabi_realloc", realloc);
    let mut builder = Builder {
        layout: &layout,
        module,
        make: HandleRewriter::new(&layout, "make handles of", make),
        take: HandleRewriter::new(&layout, "take handles of", take),
        take_back: HandleRewriter::new(&layout, "take back handles of", take_back),
    };
    let guest = resolve.worlds[bridge_world].exports.keys().next().cloned();
    let mut bodies = Vec::new();
    for (call, (signature, target)) in plan.exports.iter().zip(&targets) {
        bodies.push(builder.guest_call(call, signature, *target)?);
    }
    bodies.extend(drops.into_iter().map(drop_call));
    for (number, body) in bodies.into_iter().enumerate() {
        builder.export_call(&resolve, guest.as_ref(), number, body);
    }
    let core = builder.module.finish();
    Ok(ExportBridge {
        component: encode::component(&resolve, bridge_world, core, NAME)?,
        links,
    })
}

/// The world of the bridge. Exported interfaces of the user are imported under names of
/// the reserved package, so none can meet an import of the same name.
fn add_bridge_world(
    resolve: &mut Resolve,
    world: &World,
    plan: &Plan,
    handles: Option<&HostHandles>,
) -> (WorldId, Links) {
    let id = add_world(resolve, world.package, "export-bridge");
    let mut links = HashMap::new();
    let mut imports: Vec<(WorldKey, WorldItem)> = Vec::new();

    let live = live_in_exports(world);
    // Of the imported interfaces only the types are needed that exports mention.
    for interface in &world.imports {
        let items = &mut resolve.interfaces[interface.id];
        items.functions.clear();
        items.types.retain(|_, id| live.contains(id));
        if !items.types.is_empty() {
            imports.push((interface.key.clone(), interface_item(interface.id)));
        }
    }
    if let Some(handles) = handles {
        imports.push((handles.key(), interface_item(handles.interface)));
    }
    for (number, interface) in world.exported_interfaces().enumerate() {
        let name = format!("export{number}");
        let moved = &mut resolve.interfaces[interface.id];
        moved.package = Some(world.package);
        moved.name = Some(name.clone());
        links.insert(
            reserved::interface_name(&name),
            Link::User(interface.name.clone().unwrap_or_default()),
        );
        resolve.packages[world.package]
            .interfaces
            .insert(name, interface.id);
        imports.push((
            WorldKey::Interface(interface.id),
            interface_item(interface.id),
        ));
    }
    resolve.worlds[id].imports.extend(imports);
    add_functions(resolve, id, world, plan, &mut links);

    let guest = add_interface(resolve, world.package, Some(reserved::GUEST));
    for number in 0..plan.call_count() {
        let call = function(&reserved::call_name(number), &[], None);
        resolve.interfaces[guest]
            .functions
            .insert(call.name.clone(), call);
    }
    let bridge_world = &mut resolve.worlds[id];
    bridge_world
        .exports
        .insert(WorldKey::Interface(guest), interface_item(guest));
    (id, links)
}

/// Imports the exported functions outside any interface, and the types they need.
fn add_functions(
    resolve: &mut Resolve,
    bridge_world: WorldId,
    world: &World,
    plan: &Plan,
    links: &mut Links,
) {
    let mut functions = Vec::new();
    let mut uses = Uses::new(resolve, bridge_world);
    for (number, call) in plan.exports.iter().enumerate() {
        if call.interface.is_none() {
            let mut function = call.function.clone();
            function.name = function_name(number);
            links.insert(
                function.name.clone(),
                Link::User(call.function.name.clone()),
            );
            uses.apply(&mut function);
            functions.push(function);
        }
    }
    for (import, used) in uses.added {
        let used = &resolve.types[used];
        let mut interfaces = world.imports.iter();
        let interface = interfaces.find(|each| used.owner == TypeOwner::Interface(each.id));
        if let (Some(interface), Some(name)) = (interface, &used.name) {
            let interface = resolve.name_world_key(&interface.key);
            let name = name.clone();
            links.insert(import, Link::Type { interface, name });
        }
    }
    let imports = &mut resolve.worlds[bridge_world].imports;
    for function in functions {
        imports.insert(
            WorldKey::Name(function.name.clone()),
            WorldItem::Function(function),
        );
    }
}

/// Name under which an exported function outside any interface is imported.
fn function_name(number: usize) -> String {
    format!("function{number}")
}

fn parameter_types(call: &Call) -> Vec<Type> {
    call.function.params.iter().map(|param| param.ty).collect()
}

/// Drops the handle that is the only parameter.
fn drop_call(drop: FunctionIndex) -> Body {
    let mut body = Body::new(0);
    body.emit()
        .i32_const(0)
        .i32_load(transfer::data_word())
        .call(drop);
    body
}

impl Builder<'_> {
    fn guest_call(
        &mut self,
        call: &Call,
        signature: &WasmSignature,
        target: FunctionIndex,
    ) -> Result<Body> {
        let types = parameter_types(call);
        let record = Place::at(transfer::DATA);
        let place = Place::at(CallLayout::of(self.layout, call)?.result_offset);
        let mut body = Body::new(0);

        self.make
            .rewrite_record(&mut self.module, &mut body, &types, record)?;
        if signature.indirect_params {
            record.push(&mut body);
        } else {
            let locals = self.layout.load_record(&mut body, &types, record)?;
            body.get_all(&locals);
        }
        if signature.retptr {
            place.push(&mut body);
        }
        body.emit().call(target);
        if let Some(result) = &call.function.result {
            if let ([flat], false) = (&*core_types(&signature.results), signature.retptr) {
                let local = body.local(*flat);
                body.emit().local_set(local);
                self.layout.store(&mut body, result, &[local], place)?;
            }
            self.take
                .rewrite(&mut self.module, &mut body, result, place)?;
        }
        self.take_back
            .rewrite_record(&mut self.module, &mut body, &types, record)?;
        Ok(body)
    }

    fn export_call(
        &mut self,
        resolve: &Resolve,
        guest: Option<&WorldKey>,
        number: usize,
        body: Body,
    ) {
        let name = resolve.wasm_export_name(
            MANGLING,
            WasmExport::Func {
                interface: guest,
                func: &function(&reserved::call_name(number), &[], None),
                kind: WasmExportKind::Normal,
            },
        );
        let defined = self.module.function(name.clone(), &[], &[], body);
        self.module.export(name, defined);
    }
}
