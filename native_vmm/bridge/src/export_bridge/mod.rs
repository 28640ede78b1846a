//! The export bridge: a component that imports all that the user's component exports.
//!
//! `call-k` reads the parameters of one function from a record at the start of the
//! transfer memory, calls it, and leaves the result behind the record. Handles of guest
//! resources belong to this bridge; the host sees their index.

mod links;

use wasm_encoder::ValType;
use wit_parser::abi::{AbiVariant, WasmSignature};
use wit_parser::{
    LiftLowerAbi, ManglingAndAbi, Resolve, ResourceIntrinsic, Type, WasmExport, WasmExportKind,
    WasmImport, WorldKey,
};

use crate::canonical::{HandleConversion, HandleRewriter, Layout, Place, align_up, core_types};
use crate::core_module::{Body, CoreImports, CoreModule, FunctionIndex};
use crate::encode;
use crate::error::Result;
use crate::host_handles::HostHandles;
use crate::plan::{Call, Plan, Resource};
use crate::resolve_items::function;
use crate::world::World;
use crate::{reserved, transfer};

/// Module name in its name section; frames of it are left out of backtraces.
const NAME: &str = "hlwasm export bridge";
const MANGLING: ManglingAndAbi = ManglingAndAbi::Legacy(LiftLowerAbi::Sync);
const I32: ValType = ValType::I32;

pub(crate) use links::{Link, Links};

/// The component and what its imports stand for.
pub(crate) struct ExportBridge {
    pub(crate) component: Vec<u8>,
    pub(crate) links: Links,
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
    let (bridge_world, links) = links::add_bridge_world(&mut resolve, world, plan, handles);
    let layout = Layout::new(&resolve);

    let mut imports = CoreImports::default();
    let conversions = handles.map(|handles| Conversions::import(&mut imports, &resolve, handles));
    let conversions = conversions.unwrap_or_default();
    let targets = import_targets(&mut imports, &resolve, plan);
    let drops = import_drops(&mut imports, &resolve, plan);

    let mut module = imports.into_module(NAME, pages);
    let realloc = transfer::define_realloc(&mut module);
    module.export("cabi_realloc", realloc);
    let mut builder = Builder {
        layout: &layout,
        module,
        make: HandleRewriter::new(&layout, "make handles of", conversions.make),
        take: HandleRewriter::new(&layout, "take handles of", conversions.take),
        take_back: HandleRewriter::new(&layout, "take back handles of", conversions.take_back),
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

/// Conversions of host resources between numbers and handles.
#[derive(Default)]
struct Conversions {
    make: HandleConversion,
    take: HandleConversion,
    take_back: HandleConversion,
}

impl Conversions {
    fn import(imports: &mut CoreImports, resolve: &Resolve, handles: &HostHandles) -> Self {
        let mut conversions = Self::default();
        let key = handles.key();
        for handle in &handles.resources {
            let mut import = |func| {
                let interface = Some(&key);
                let import = WasmImport::Func { interface, func };
                let name = resolve.wasm_import_name(MANGLING, import);
                imports.function(name, &[I32], &[I32])
            };
            let (make, take) = (import(&handle.make), import(&handle.take));
            let resource = handle.resource;
            conversions.make.own.insert(resource, make);
            conversions.make.borrow.insert(resource, make);
            conversions.take.own.insert(resource, take);
            conversions.take_back.borrow.insert(resource, take);
        }
        conversions
    }
}

/// Imports the user's exported functions.
fn import_targets(
    imports: &mut CoreImports,
    resolve: &Resolve,
    plan: &Plan,
) -> Vec<(WasmSignature, FunctionIndex)> {
    let mut targets = Vec::new();
    for (number, call) in plan.exports.iter().enumerate() {
        let mut func = call.function.clone();
        let interface = call.interface.as_ref();
        let interface = interface.map(|interface| WorldKey::Interface(interface.id));
        if interface.is_none() {
            func.name = links::function_name(number);
        }
        let signature = resolve.wasm_signature(AbiVariant::GuestImport, &func);
        let import = WasmImport::Func {
            interface: interface.as_ref(),
            func: &func,
        };
        let name = resolve.wasm_import_name(MANGLING, import);
        let (params, results) = (
            core_types(&signature.params),
            core_types(&signature.results),
        );
        let index = imports.function(name, &params, &results);
        targets.push((signature, index));
    }
    targets
}

/// Imports what drops handles of the user's exported resources.
fn import_drops(imports: &mut CoreImports, resolve: &Resolve, plan: &Plan) -> Vec<FunctionIndex> {
    let drop = |resource: &Resource| {
        let import = WasmImport::ResourceIntrinsic {
            interface: Some(&WorldKey::Interface(resource.interface.id)),
            resource: resource.id,
            intrinsic: ResourceIntrinsic::ImportedDrop,
        };
        let name = resolve.wasm_import_name(MANGLING, import);
        imports.function(name, &[I32], &[])
    };
    plan.guest_resources.iter().map(drop).collect()
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
