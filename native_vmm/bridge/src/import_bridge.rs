//! The import bridge: a component that exports all that the user's component imports.
//!
//! Each function puts its parameters into the transfer memory as one record, calls the
//! host with a number and the record's address, and returns what the host put there.
//! Host resources are defined here; their representation is the host's number.

use host_guest_abi::transfer::DROP_RESOURCE;
use wasm_encoder::{BlockType, ValType};
use wit_parser::abi::AbiVariant;
use wit_parser::{
    LiftLowerAbi, ManglingAndAbi, Resolve, ResourceIntrinsic, Type, WasmExport, WasmExportKind,
    WasmImport, WorldId, WorldKey,
};

use crate::canonical::{HandleConversion, HandleRewriter, Layout, Place, core_types};
use crate::core_module::{Body, CoreImports, CoreModule, FunctionIndex};
use crate::encode;
use crate::error::{BridgeError, Result};
use crate::host_handles::HostHandles;
use crate::plan::{Call, Plan, Resource};
use crate::resolve_items::{add_interface, add_world, function, interface_item};
use crate::world::World;
use crate::{reserved, transfer};

/// Module name in its name section; frames of it are left out of backtraces.
const NAME: &str = "hlwasm import bridge";
const MANGLING: ManglingAndAbi = ManglingAndAbi::Legacy(LiftLowerAbi::Sync);
const I32: ValType = ValType::I32;

/// Core functions of one host resource.
struct HostResource {
    /// Number to handle.
    new: FunctionIndex,
    /// Handle to number.
    number: FunctionIndex,
    drop: FunctionIndex,
}

struct Builder<'a> {
    resolve: &'a Resolve,
    layout: &'a Layout<'a>,
    module: CoreModule,
    host_call: FunctionIndex,
    realloc: FunctionIndex,
    post_return: Option<FunctionIndex>,
    /// Handles in parameters become numbers.
    parameters: HandleRewriter<'a>,
    /// Numbers in results become handles.
    results: HandleRewriter<'a>,
}

/// Builds the component; none if there is nothing to import.
pub(crate) fn build(
    world: &World,
    plan: &Plan,
    handles: Option<&HostHandles>,
    pages: u32,
) -> Result<Option<Vec<u8>>> {
    if world.imports.is_empty() {
        return Ok(None);
    }
    let mut resolve = world.resolve.clone();
    let (bridge_world, host) = add_bridge_world(&mut resolve, world, handles);
    let layout = Layout::new(&resolve);

    let mut imports = CoreImports::default();
    let host_call = imports.function(
        (resolve.name_world_key(&host), reserved::HOST_CALL.into()),
        &[I32; 2],
        &[I32],
    );
    let resources: Vec<HostResource> = plan
        .host_resources
        .iter()
        .map(|resource| import_intrinsics(&resolve, &mut imports, resource))
        .collect();

    let mut module = imports.into_module(NAME, pages);
    let realloc = transfer::define_realloc(&mut module);
    module.export("cabi_realloc", realloc);
    let mut take = HandleConversion::default();
    let mut make = HandleConversion::default();
    for (number, (resource, functions)) in (0..).zip(plan.host_resources.iter().zip(&resources)) {
        define_destructor(&mut module, &resolve, resource, host_call, number)?;
        let function = define_take(&mut module, &resolve, resource, functions);
        take.own.insert(resource.id, function);
        make.own.insert(resource.id, functions.new);
    }
    if let Some(handles) = handles {
        export_handles(&mut module, &resolve, handles, &make, &take)?;
    }
    let mut builder = Builder {
        resolve: &resolve,
        layout: &layout,
        module,
        host_call,
        realloc,
        post_return: None,
        parameters: HandleRewriter::new(&layout, "take handles of", take),
        results: HandleRewriter::new(&layout, "make handles of", make),
    };
    for (number, call) in (0..).zip(&plan.imports) {
        builder.host_function(number, call)?;
    }
    let core = builder.module.finish();
    encode::component(&resolve, bridge_world, core, NAME).map(Some)
}

/// The world of the bridge, and the key of the interface that it imports.
fn add_bridge_world(
    resolve: &mut Resolve,
    world: &World,
    handles: Option<&HostHandles>,
) -> (WorldId, WorldKey) {
    let host = add_interface(resolve, world.package, Some(reserved::HOST));
    let host_call = function(
        reserved::HOST_CALL,
        &[("function", Type::U32), ("pointer", Type::U32)],
        Some(Type::U32),
    );
    resolve.interfaces[host]
        .functions
        .insert(host_call.name.clone(), host_call);
    let id = add_world(resolve, world.package, "import-bridge");
    let bridge_world = &mut resolve.worlds[id];
    let host_key = WorldKey::Interface(host);
    bridge_world
        .imports
        .insert(host_key.clone(), interface_item(host));
    for interface in &world.imports {
        bridge_world
            .exports
            .insert(interface.key.clone(), interface_item(interface.id));
    }
    if let Some(handles) = handles {
        bridge_world
            .exports
            .insert(handles.key(), interface_item(handles.interface));
    }
    (id, host_key)
}

fn import_intrinsics(
    resolve: &Resolve,
    imports: &mut CoreImports,
    resource: &Resource,
) -> HostResource {
    let mut import = |intrinsic, results: &[ValType]| {
        let intrinsic = WasmImport::ResourceIntrinsic {
            interface: Some(&resource.interface.key),
            resource: resource.id,
            intrinsic,
        };
        let name = resolve.wasm_import_name(MANGLING, intrinsic);
        imports.function(name, &[I32], results)
    };
    HostResource {
        new: import(ResourceIntrinsic::ExportedNew, &[I32]),
        number: import(ResourceIntrinsic::ExportedRep, &[I32]),
        drop: import(ResourceIntrinsic::ExportedDrop, &[]),
    }
}

/// Runs when the guest drops a handle, and when [`define_take`] does, which does not count.
fn define_destructor(
    module: &mut CoreModule,
    resolve: &Resolve,
    resource: &Resource,
    host_call: FunctionIndex,
    number: u32,
) -> Result<()> {
    let flag =
        u32::try_from(DROP_RESOURCE).map_err(|error| BridgeError::internal("destructor", error))?;
    let mut body = Body::new(1);
    body.emit()
        .global_get(CoreModule::GLOBAL)
        .i32_eqz()
        .if_(BlockType::Empty)
        .i32_const((flag | number).cast_signed())
        .local_get(0)
        .call(host_call)
        .drop()
        .end();
    let name = resolve.wasm_export_name(
        MANGLING,
        WasmExport::ResourceDtor {
            interface: &resource.interface.key,
            resource: resource.id,
        },
    );
    let destructor = module.function(name.clone(), &[I32], &[], body);
    module.export(name, destructor);
    Ok(())
}

/// Turns an owned handle into its number and forgets the handle without destructor.
fn define_take(
    module: &mut CoreModule,
    resolve: &Resolve,
    resource: &Resource,
    functions: &HostResource,
) -> FunctionIndex {
    let mut body = Body::new(1);
    body.emit()
        .local_get(0)
        .call(functions.number)
        .i32_const(1)
        .global_set(CoreModule::GLOBAL)
        .local_get(0)
        .call(functions.drop)
        .i32_const(0)
        .global_set(CoreModule::GLOBAL);
    let name = resolve.types[resource.id].name.as_deref();
    let name = format!("take {}", name.unwrap_or("resource"));
    module.function(name, &[I32], &[I32], body)
}

fn export_handles(
    module: &mut CoreModule,
    resolve: &Resolve,
    handles: &HostHandles,
    make: &HandleConversion,
    take: &HandleConversion,
) -> Result<()> {
    let key = handles.key();
    for handle in &handles.resources {
        for (function, conversion) in [(&handle.make, make), (&handle.take, take)] {
            let convert = conversion.own.get(&handle.resource);
            let convert =
                convert.ok_or_else(|| BridgeError::internal(NAME, "a resource is missing"))?;
            let name = resolve.wasm_export_name(
                MANGLING,
                WasmExport::Func {
                    interface: Some(&key),
                    func: function,
                    kind: WasmExportKind::Normal,
                },
            );
            let mut body = Body::new(1);
            body.emit().local_get(0).call(*convert);
            let exported = module.function(name.clone(), &[I32], &[I32], body);
            module.export(name, exported);
        }
    }
    Ok(())
}

impl Builder<'_> {
    /// Defines and exports the function behind one import.
    fn host_function(&mut self, number: i32, call: &Call) -> Result<()> {
        let function = &call.function;
        let signature = self
            .resolve
            .wasm_signature(AbiVariant::GuestExport, function);
        let parameters = core_types(&signature.params);
        let results = core_types(&signature.results);
        let types: Vec<Type> = function.params.iter().map(|param| param.ty).collect();
        let mut body = Body::new(parameters.len());

        let record = body.local(I32);
        if signature.indirect_params {
            body.emit().local_get(0).local_set(record);
        } else if !types.is_empty() {
            self.allocate(&mut body, &types)?;
            body.emit().local_set(record);
            let locals: Vec<u32> = (0..).take(parameters.len()).collect();
            let place = Place::in_local(record);
            self.layout
                .store_record(&mut body, &types, &locals, place)?;
        }
        self.parameters.rewrite_record(
            &mut self.module,
            &mut body,
            &types,
            Place::in_local(record),
        )?;

        let result = body.local(I32);
        body.emit()
            .i32_const(number)
            .local_get(record)
            .call(self.host_call)
            .local_set(result);
        let mut flat = Vec::new();
        if let Some(result_type) = &function.result {
            let place = Place::in_local(result);
            self.results
                .rewrite(&mut self.module, &mut body, result_type, place)?;
            flat = if signature.retptr {
                vec![result]
            } else {
                self.layout.load(&mut body, result_type, place)?
            };
        }
        // A result in memory must stay until it was copied out: rewind in the post-return.
        if !signature.retptr {
            transfer::rewind(&mut body);
        }
        body.get_all(&flat);

        let name = self.export_name(call, WasmExportKind::Normal);
        let defined = self
            .module
            .function(name.clone(), &parameters, &results, body);
        self.module.export(name, defined);
        if signature.retptr {
            let name = self.export_name(call, WasmExportKind::PostReturn);
            let post_return = self.post_return();
            self.module.export(name, post_return);
        }
        Ok(())
    }

    /// Pushes the address of a new block for a record of `types`.
    fn allocate(&self, body: &mut Body, types: &[Type]) -> Result<()> {
        let record = self.layout.record(types)?;
        body.emit()
            .i32_const(0)
            .i32_const(0)
            .i32_const(record.align.cast_signed())
            .i32_const(record.size.cast_signed())
            .call(self.realloc);
        Ok(())
    }

    fn post_return(&mut self) -> FunctionIndex {
        let module = &mut self.module;
        *self.post_return.get_or_insert_with(|| {
            let mut body = Body::new(1);
            transfer::rewind(&mut body);
            module.function("post-return", &[I32], &[], body)
        })
    }

    fn export_name(&self, call: &Call, kind: WasmExportKind) -> String {
        self.resolve.wasm_export_name(
            MANGLING,
            WasmExport::Func {
                interface: call.interface.as_ref().map(|interface| &interface.key),
                func: &call.function,
                kind,
            },
        )
    }
}
