//! A small builder of core modules: functions, one memory, one global, names.

use std::collections::HashMap;

use indexmap::IndexSet;
use wasm_encoder as encoder;
use wasm_encoder::{InstructionSink, ValType};

/// Index in the function index space, imports first.
pub(crate) type FunctionIndex = u32;
/// Index of a local; parameters come first.
pub(crate) type Local = u32;

/// Functions to import. They come first in the index space, hence a type of their own
/// that is turned into a [`CoreModule`] once it is complete.
#[derive(Default)]
pub(crate) struct CoreImports {
    types: FunctionTypes,
    imports: Vec<(String, String, u32)>,
}

#[derive(Default)]
struct FunctionTypes(IndexSet<(Vec<ValType>, Vec<ValType>)>);

struct Defined {
    name: String,
    type_index: u32,
    body: encoder::Function,
}

/// A core module with one memory of fixed size and one mutable `i32` global.
pub(crate) struct CoreModule {
    name: &'static str,
    pages: u32,
    types: FunctionTypes,
    imports: Vec<(String, String, u32)>,
    defined: Vec<Defined>,
    exports: Vec<(String, FunctionIndex)>,
}

/// Body of a function while it is written.
pub(crate) struct Body {
    parameters: u32,
    locals: Vec<ValType>,
    code: Vec<u8>,
}

impl FunctionTypes {
    fn index(&mut self, parameters: &[ValType], results: &[ValType]) -> u32 {
        let signature = (parameters.to_vec(), results.to_vec());
        count(self.0.insert_full(signature).0)
    }
}

impl CoreImports {
    /// Imports a function.
    pub(crate) fn function(
        &mut self,
        (module, name): (String, String),
        parameters: &[ValType],
        results: &[ValType],
    ) -> FunctionIndex {
        let type_index = self.types.index(parameters, results);
        self.imports.push((module, name, type_index));
        count(self.imports.len() - 1)
    }

    /// Ends the imports.
    pub(crate) fn into_module(self, name: &'static str, pages: u32) -> CoreModule {
        CoreModule {
            name,
            pages,
            types: self.types,
            imports: self.imports,
            defined: Vec::new(),
            exports: Vec::new(),
        }
    }
}

impl CoreModule {
    /// The global, initially 0.
    pub(crate) const GLOBAL: u32 = 0;

    /// Defines a function.
    pub(crate) fn function(
        &mut self,
        name: impl Into<String>,
        parameters: &[ValType],
        results: &[ValType],
        body: Body,
    ) -> FunctionIndex {
        let mut function = encoder::Function::new_with_locals_types(body.locals);
        function.raw(body.code);
        function.instructions().end();
        self.defined.push(Defined {
            name: name.into(),
            type_index: self.types.index(parameters, results),
            body: function,
        });
        count(self.imports.len() + self.defined.len() - 1)
    }

    /// Exports a function.
    pub(crate) fn export(&mut self, name: impl Into<String>, function: FunctionIndex) {
        self.exports.push((name.into(), function));
    }

    /// Encodes the module.
    pub(crate) fn finish(self) -> Vec<u8> {
        let mut types = encoder::TypeSection::new();
        for (parameters, results) in self.types.0 {
            types.ty().function(parameters, results);
        }
        let mut imports = encoder::ImportSection::new();
        let mut names = encoder::NameMap::new();
        for (index, (module, name, type_index)) in self.imports.iter().enumerate() {
            imports.import(module, name, encoder::EntityType::Function(*type_index));
            names.append(count(index), &format!("{module}#{name}"));
        }
        let mut functions = encoder::FunctionSection::new();
        let mut code = encoder::CodeSection::new();
        for (index, defined) in self.defined.iter().enumerate() {
            functions.function(defined.type_index);
            code.function(&defined.body);
            names.append(count(self.imports.len() + index), &defined.name);
        }
        let mut memories = encoder::MemorySection::new();
        memories.memory(encoder::MemoryType {
            minimum: u64::from(self.pages),
            maximum: Some(u64::from(self.pages)),
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        let mut globals = encoder::GlobalSection::new();
        globals.global(
            encoder::GlobalType {
                val_type: ValType::I32,
                mutable: true,
                shared: false,
            },
            &encoder::ConstExpr::i32_const(0),
        );
        let mut exports = encoder::ExportSection::new();
        exports.export("memory", encoder::ExportKind::Memory, 0);
        for (name, function) in &self.exports {
            exports.export(name, encoder::ExportKind::Func, *function);
        }
        let mut name_section = encoder::NameSection::new();
        name_section.module(self.name);
        name_section.functions(&names);

        let mut module = encoder::Module::new();
        module
            .section(&types)
            .section(&imports)
            .section(&functions)
            .section(&memories)
            .section(&globals)
            .section(&exports)
            .section(&code)
            .section(&name_section);
        module.finish()
    }
}

impl Body {
    /// An empty body of a function with so many parameters.
    pub(crate) fn new(parameters: usize) -> Self {
        Self {
            parameters: count(parameters),
            locals: Vec::new(),
            code: Vec::new(),
        }
    }

    /// A new local.
    pub(crate) fn local(&mut self, value_type: ValType) -> Local {
        self.locals.push(value_type);
        self.parameters + count(self.locals.len() - 1)
    }

    /// Where instructions go.
    pub(crate) fn emit(&mut self) -> InstructionSink<'_> {
        InstructionSink::new(&mut self.code)
    }

    /// Pushes locals.
    pub(crate) fn get_all(&mut self, locals: &[Local]) {
        for local in locals {
            self.emit().local_get(*local);
        }
    }
}

/// Index or count of something that the encoder holds in memory, as WebAssembly writes it.
fn count(value: usize) -> u32 {
    // Saturates: a module with that many items fails validation, it does not mislead.
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// Functions by what they work on.
pub(crate) type FunctionMap<K> = HashMap<K, FunctionIndex>;
