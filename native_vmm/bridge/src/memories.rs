//! Which linear memories instantiating the user's component will create, in which order.
//!
//! Follows the instantiation of modules and components through aliases, arguments and
//! exports, the way the runtime does; nothing is run. Memories that a module imports were
//! created by another one and are not counted again.

use std::collections::HashMap;
use std::rc::Rc;

use serde::Serialize;
use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind, Instance,
    MemoryType, Parser, Payload,
};

use crate::error::{BridgeError, Result};

/// Depth to which components may be nested or instantiate each other.
const DEPTH_MAX: usize = 100;
/// Instances that may be created in all.
const INSTANCES_MAX: usize = 10_000;

/// Declared size of a linear memory in pages of 64 KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Memory {
    pub(crate) minimum_pages: u64,
    pub(crate) maximum_pages: Option<u64>,
}

/// The memories of a valid component.
///
/// # Errors
/// `Unsupported` if it instantiates too much, or too deeply nested.
pub(crate) fn of(component: &[u8]) -> Result<Vec<Memory>> {
    let definition = Definition::parse(component)?;
    let mut walk = Walk::default();
    let scope = Rc::new(Scope::default());
    walk.instantiate(&definition, scope, &HashMap::new(), 0)?;
    Ok(walk.memories)
}

/// A component definition, reduced to what decides about instances.
#[derive(Default)]
struct Definition {
    steps: Vec<Step>,
}

enum Step {
    Module(Rc<Vec<Memory>>),
    Component(Rc<Definition>),
    Import(String, Sort),
    AliasExport(u32, String),
    AliasOuter(Sort, u32, u32),
    InstantiateModule(u32),
    InstantiateComponent(u32, Vec<(String, Sort, u32)>),
    Bundle(Vec<(String, Sort, u32)>),
    Export(String, Sort, u32),
}

/// The index spaces that matter here.
#[derive(Clone, Copy)]
enum Sort {
    Module,
    Component,
    Instance,
}

impl Sort {
    fn of(kind: ComponentExternalKind) -> Option<Self> {
        match kind {
            ComponentExternalKind::Module => Some(Self::Module),
            ComponentExternalKind::Component => Some(Self::Component),
            ComponentExternalKind::Instance => Some(Self::Instance),
            ComponentExternalKind::Func
            | ComponentExternalKind::Value
            | ComponentExternalKind::Type => None,
        }
    }
}

/// Something that can be passed to or exported by an instance.
#[derive(Clone)]
enum Item {
    Module(Rc<Vec<Memory>>),
    Component(Rc<Closure>),
    Instance(Rc<Items>),
}

type Items = HashMap<String, Item>;

/// A component definition with what it sees around it.
struct Closure {
    definition: Rc<Definition>,
    outer: Rc<Scope>,
}

/// Index spaces of a component while it is instantiated.
#[derive(Default, Clone)]
struct Scope {
    modules: Vec<Item>,
    components: Vec<Item>,
    instances: Vec<Item>,
    outer: Option<Rc<Scope>>,
}

impl Scope {
    fn push(&mut self, item: Item) {
        match item {
            Item::Module(_) => self.modules.push(item),
            Item::Component(_) => self.components.push(item),
            Item::Instance(_) => self.instances.push(item),
        }
    }

    fn get(&self, sort: Sort, index: u32) -> Result<&Item> {
        let space = match sort {
            Sort::Module => &self.modules,
            Sort::Component => &self.components,
            Sort::Instance => &self.instances,
        };
        let index = usize::try_from(index).ok();
        index
            .and_then(|index| space.get(index))
            .ok_or_else(|| lost("an index"))
    }
}

#[derive(Default)]
struct Walk {
    memories: Vec<Memory>,
    instances: usize,
}

impl Walk {
    fn instantiate(
        &mut self,
        definition: &Definition,
        outer: Rc<Scope>,
        arguments: &Items,
        depth: usize,
    ) -> Result<Items> {
        if depth > DEPTH_MAX {
            return Err(too_much("components are nested too deeply"));
        }
        let mut exports = Items::new();
        let mut scope = Scope {
            outer: Some(outer),
            ..Scope::default()
        };
        for step in &definition.steps {
            match step {
                Step::Module(memories) => scope.push(Item::Module(Rc::clone(memories))),
                Step::Component(definition) => {
                    let closure = Closure {
                        definition: Rc::clone(definition),
                        outer: Rc::new(scope.clone()),
                    };
                    scope.push(Item::Component(Rc::new(closure)));
                }
                Step::Import(name, sort) => scope.push(match (arguments.get(name), sort) {
                    (Some(item), _) => item.clone(),
                    // The host's instances have functions and types only.
                    (None, Sort::Instance) => Item::Instance(Rc::default()),
                    (None, Sort::Module | Sort::Component) => return Err(lost(name)),
                }),
                Step::AliasExport(instance, name) => {
                    let Item::Instance(items) = scope.get(Sort::Instance, *instance)? else {
                        return Err(lost(name));
                    };
                    let item = items.get(name).cloned();
                    // What the host's instances export is a further instance of functions.
                    scope.push(item.unwrap_or_else(|| Item::Instance(Rc::default())));
                }
                Step::AliasOuter(sort, count, index) => {
                    let item = outer_item(&scope, *sort, *count, *index)?;
                    scope.push(item);
                }
                Step::InstantiateModule(module) => {
                    self.count_instance()?;
                    if let Item::Module(memories) = scope.get(Sort::Module, *module)? {
                        self.memories.extend_from_slice(memories);
                    }
                }
                Step::InstantiateComponent(component, arguments) => {
                    self.count_instance()?;
                    let arguments = gather(&scope, arguments)?;
                    let Item::Component(closure) = scope.get(Sort::Component, *component)? else {
                        return Err(lost("a component"));
                    };
                    let closure = Rc::clone(closure);
                    let outer = Rc::clone(&closure.outer);
                    let items =
                        self.instantiate(&closure.definition, outer, &arguments, depth + 1)?;
                    scope.push(Item::Instance(Rc::new(items)));
                }
                Step::Bundle(items) => {
                    self.count_instance()?;
                    let items = gather(&scope, items)?;
                    scope.push(Item::Instance(Rc::new(items)));
                }
                Step::Export(name, sort, index) => {
                    let item = scope.get(*sort, *index)?.clone();
                    exports.insert(name.clone(), item.clone());
                    // An export is a new index of what it exports.
                    scope.push(item);
                }
            }
        }
        Ok(exports)
    }

    fn count_instance(&mut self) -> Result<()> {
        self.instances += 1;
        if self.instances > INSTANCES_MAX {
            return Err(too_much("too many instances are created"));
        }
        Ok(())
    }
}

fn outer_item(scope: &Scope, sort: Sort, count: u32, index: u32) -> Result<Item> {
    let mut scope = scope;
    for _ in 0..count {
        scope = scope.outer.as_deref().ok_or_else(|| lost("a scope"))?;
    }
    scope.get(sort, index).cloned()
}

fn gather(scope: &Scope, items: &[(String, Sort, u32)]) -> Result<Items> {
    items
        .iter()
        .map(|(name, sort, index)| Ok((name.clone(), scope.get(*sort, *index)?.clone())))
        .collect()
}

impl Definition {
    fn parse(component: &[u8]) -> Result<Self> {
        // Definitions around the current one, outermost first; a module has no definition.
        let mut open: Vec<Option<Definition>> = Vec::new();
        let mut current = Some(Definition::default());
        let mut memories = Vec::new();
        for payload in Parser::new(0).parse_all(component) {
            match payload? {
                Payload::ModuleSection { .. } => open.push(current.take()),
                Payload::ComponentSection { .. } => {
                    open.push(current.replace(Definition::default()));
                }
                Payload::MemorySection(section) => {
                    for memory in section {
                        memories.push(Memory::of(&memory?));
                    }
                }
                Payload::End(_) => {
                    let Some(around) = open.pop() else { break };
                    let step = match current {
                        Some(definition) => Step::Component(Rc::new(definition)),
                        None => Step::Module(Rc::new(std::mem::take(&mut memories))),
                    };
                    current = around;
                    if let Some(definition) = &mut current {
                        definition.steps.push(step);
                    }
                }
                payload => {
                    if let Some(definition) = &mut current {
                        definition.add(payload)?;
                    }
                }
            }
            if open.len() > DEPTH_MAX {
                return Err(too_much("components are nested too deeply"));
            }
        }
        Ok(current.unwrap_or_default())
    }

    fn add(&mut self, payload: Payload<'_>) -> Result<()> {
        let steps = &mut self.steps;
        match payload {
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let import = import?;
                    if let Some(sort) = Sort::of(import.ty.kind()) {
                        steps.push(Step::Import(import.name.name.into(), sort));
                    }
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    steps.extend(alias_step(&alias?));
                }
            }
            Payload::InstanceSection(section) => {
                for instance in section {
                    if let Instance::Instantiate { module_index, .. } = instance? {
                        steps.push(Step::InstantiateModule(module_index));
                    }
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section {
                    steps.push(instance_step(&instance?));
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    let export = export?;
                    if let Some(sort) = Sort::of(export.kind) {
                        steps.push(Step::Export(export.name.name.into(), sort, export.index));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn alias_step(alias: &ComponentAlias<'_>) -> Option<Step> {
    match *alias {
        ComponentAlias::InstanceExport {
            kind,
            instance_index,
            name,
        } => Sort::of(kind).map(|_| Step::AliasExport(instance_index, name.into())),
        ComponentAlias::Outer { kind, count, index } => match kind {
            ComponentOuterAliasKind::CoreModule => {
                Some(Step::AliasOuter(Sort::Module, count, index))
            }
            ComponentOuterAliasKind::Component => {
                Some(Step::AliasOuter(Sort::Component, count, index))
            }
            ComponentOuterAliasKind::CoreType | ComponentOuterAliasKind::Type => None,
        },
        ComponentAlias::CoreInstanceExport { .. } => None,
    }
}

fn instance_step(instance: &ComponentInstance<'_>) -> Step {
    match instance {
        ComponentInstance::Instantiate {
            component_index,
            args,
        } => {
            let arguments = args.iter().filter_map(|argument| {
                let sort = Sort::of(argument.kind)?;
                Some((argument.name.to_owned(), sort, argument.index))
            });
            Step::InstantiateComponent(*component_index, arguments.collect())
        }
        ComponentInstance::FromExports(exports) => {
            let items = exports.iter().filter_map(|export| {
                let sort = Sort::of(export.kind)?;
                Some((export.name.name.to_owned(), sort, export.index))
            });
            Step::Bundle(items.collect())
        }
    }
}

impl Memory {
    fn of(memory: &MemoryType) -> Self {
        Self {
            minimum_pages: memory.initial,
            maximum_pages: memory.maximum,
        }
    }
}

fn too_much(message: &str) -> BridgeError {
    BridgeError::unsupported("the component", message)
}

/// A valid component never gets here.
fn lost(what: &str) -> BridgeError {
    BridgeError::internal("memories", format!("{what} is not known"))
}
