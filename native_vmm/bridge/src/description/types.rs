//! The types of a description.

use std::collections::HashMap;

use indexmap::IndexSet;
use serde::Serialize;
use wit_parser::{
    Docs, Handle, InterfaceId, Resolve, Type, TypeDef, TypeDefKind, TypeId, TypeOwner,
};

use crate::canonical::definition;
use crate::error::{BridgeError, Result};
use crate::plan::Plan;
use crate::world::World;

/// A type where it is used: the name of a primitive one, or an index.
#[derive(Serialize, Clone, Copy, PartialEq, Eq, Hash)]
#[serde(untagged)]
pub(super) enum TypeReference {
    Primitive(&'static str),
    Index(usize),
}

/// Where a type has its name from.
#[derive(Serialize, PartialEq, Eq, Hash)]
pub(super) struct Named {
    name: String,
    /// None at world level.
    interface: Option<String>,
    docs: Option<String>,
}

/// The name of a type that needs none.
#[derive(Serialize, PartialEq, Eq, Hash)]
pub(super) struct Alias {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

#[derive(Serialize, PartialEq, Eq, Hash)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum TypeEntry {
    Record {
        #[serde(flatten)]
        named: Named,
        fields: Vec<Field>,
    },
    Tuple {
        #[serde(flatten)]
        alias: Alias,
        types: Vec<TypeReference>,
    },
    List {
        #[serde(flatten)]
        alias: Alias,
        #[serde(rename = "type")]
        element: TypeReference,
    },
    Option {
        #[serde(flatten)]
        alias: Alias,
        #[serde(rename = "type")]
        payload: TypeReference,
    },
    Result {
        #[serde(flatten)]
        alias: Alias,
        ok: Option<TypeReference>,
        err: Option<TypeReference>,
    },
    Variant {
        #[serde(flatten)]
        named: Named,
        cases: Vec<Case>,
    },
    Enum {
        #[serde(flatten)]
        named: Named,
        cases: Vec<Label>,
    },
    Flags {
        #[serde(flatten)]
        named: Named,
        flags: Vec<Label>,
    },
    Resource {
        #[serde(flatten)]
        named: Named,
        side: Side,
    },
    Own {
        #[serde(flatten)]
        alias: Alias,
        resource: usize,
    },
    Borrow {
        #[serde(flatten)]
        alias: Alias,
        resource: usize,
    },
}

#[derive(Serialize, PartialEq, Eq, Hash)]
pub(super) struct Field {
    name: String,
    #[serde(rename = "type")]
    value_type: TypeReference,
    docs: Option<String>,
}

#[derive(Serialize, PartialEq, Eq, Hash)]
pub(super) struct Case {
    name: String,
    #[serde(rename = "type")]
    payload: Option<TypeReference>,
    docs: Option<String>,
}

#[derive(Serialize, PartialEq, Eq, Hash)]
pub(super) struct Label {
    name: String,
    docs: Option<String>,
}

/// Who defines a resource.
#[derive(Serialize, PartialEq, Eq, Hash)]
#[serde(rename_all = "lowercase")]
pub(super) enum Side {
    Host,
    Guest,
}

/// The types met so far.
pub(super) struct TypeTable<'a> {
    resolve: &'a Resolve,
    plan: &'a Plan,
    interfaces: HashMap<InterfaceId, Option<String>>,
    /// Equal types are one: anonymous ones, and those of an interface that is on both sides.
    entries: IndexSet<TypeEntry>,
    indices: HashMap<TypeId, usize>,
}

impl<'a> TypeTable<'a> {
    pub(super) fn new(world: &'a World, plan: &'a Plan) -> Self {
        let interfaces = world.imports.iter().chain(world.exported_interfaces());
        Self {
            resolve: &world.resolve,
            plan,
            interfaces: interfaces
                .map(|interface| (interface.id, interface.name.clone()))
                .collect(),
            entries: IndexSet::new(),
            indices: HashMap::new(),
        }
    }

    pub(super) fn finish(self) -> Vec<TypeEntry> {
        self.entries.into_iter().collect()
    }

    /// The reference to a type, which is added if it is new.
    pub(super) fn reference(&mut self, value_type: &Type) -> Result<TypeReference> {
        Ok(TypeReference::Primitive(match value_type {
            Type::Bool => "bool",
            Type::U8 => "u8",
            Type::U16 => "u16",
            Type::U32 => "u32",
            Type::U64 => "u64",
            Type::S8 => "s8",
            Type::S16 => "s16",
            Type::S32 => "s32",
            Type::S64 => "s64",
            Type::F32 => "f32",
            Type::F64 => "f64",
            Type::Char => "char",
            Type::String => "string",
            Type::ErrorContext => return Err(unexpected("error-context")),
            Type::Id(id) => return self.reference_id(*id),
        }))
    }

    /// The same for a type by its id; aliases lead to what they stand for.
    pub(super) fn reference_id(&mut self, id: TypeId) -> Result<TypeReference> {
        let id = definition(self.resolve, id);
        match &self.resolve.types[id].kind {
            TypeDefKind::Type(primitive) => self.reference(primitive),
            _ => self.index(id).map(TypeReference::Index),
        }
    }

    /// Index of a type that is no alias of a primitive one.
    pub(super) fn index(&mut self, id: TypeId) -> Result<usize> {
        let id = definition(self.resolve, id);
        if let Some(index) = self.indices.get(&id) {
            return Ok(*index);
        }
        let entry = self.entry(id)?;
        let (index, _) = self.entries.insert_full(entry);
        self.indices.insert(id, index);
        Ok(index)
    }

    fn entry(&mut self, id: TypeId) -> Result<TypeEntry> {
        let resolve = self.resolve;
        let definition = &resolve.types[id];
        let alias = Alias {
            name: definition.name.clone(),
        };
        Ok(match &definition.kind {
            TypeDefKind::Record(record) => TypeEntry::Record {
                named: self.named(definition),
                fields: record
                    .fields
                    .iter()
                    .map(|field| {
                        Ok(Field {
                            name: field.name.clone(),
                            value_type: self.reference(&field.ty)?,
                            docs: text(&field.docs),
                        })
                    })
                    .collect::<Result<_>>()?,
            },
            TypeDefKind::Variant(variant) => TypeEntry::Variant {
                named: self.named(definition),
                cases: variant
                    .cases
                    .iter()
                    .map(|case| {
                        Ok(Case {
                            name: case.name.clone(),
                            payload: self.optional(case.ty.as_ref())?,
                            docs: text(&case.docs),
                        })
                    })
                    .collect::<Result<_>>()?,
            },
            TypeDefKind::Enum(cases) => TypeEntry::Enum {
                named: self.named(definition),
                cases: cases
                    .cases
                    .iter()
                    .map(|case| label(&case.name, &case.docs))
                    .collect(),
            },
            TypeDefKind::Flags(flags) => TypeEntry::Flags {
                named: self.named(definition),
                flags: flags
                    .flags
                    .iter()
                    .map(|flag| label(&flag.name, &flag.docs))
                    .collect(),
            },
            TypeDefKind::Tuple(tuple) => TypeEntry::Tuple {
                alias,
                types: tuple
                    .types
                    .iter()
                    .map(|value_type| self.reference(value_type))
                    .collect::<Result<_>>()?,
            },
            TypeDefKind::List(element) => TypeEntry::List {
                alias,
                element: self.reference(element)?,
            },
            TypeDefKind::Map(key, value) => TypeEntry::List {
                alias,
                element: self.pair(key, value)?,
            },
            TypeDefKind::Option(payload) => TypeEntry::Option {
                alias,
                payload: self.reference(payload)?,
            },
            TypeDefKind::Result(result) => TypeEntry::Result {
                alias,
                ok: self.optional(result.ok.as_ref())?,
                err: self.optional(result.err.as_ref())?,
            },
            TypeDefKind::Resource => TypeEntry::Resource {
                named: self.named(definition),
                side: self.side(id),
            },
            TypeDefKind::Handle(Handle::Own(resource)) => TypeEntry::Own {
                alias,
                resource: self.index(*resource)?,
            },
            TypeDefKind::Handle(Handle::Borrow(resource)) => TypeEntry::Borrow {
                alias,
                resource: self.index(*resource)?,
            },
            kind @ (TypeDefKind::Type(_)
            | TypeDefKind::FixedLengthList(..)
            | TypeDefKind::Future(_)
            | TypeDefKind::Stream(_)
            | TypeDefKind::Unknown) => return Err(unexpected(kind.as_str())),
        })
    }

    /// What a map is a list of: tuples of a key and its value.
    fn pair(&mut self, key: &Type, value: &Type) -> Result<TypeReference> {
        let pair = TypeEntry::Tuple {
            alias: Alias { name: None },
            types: vec![self.reference(key)?, self.reference(value)?],
        };
        let (index, _) = self.entries.insert_full(pair);
        Ok(TypeReference::Index(index))
    }

    fn optional(&mut self, value_type: Option<&Type>) -> Result<Option<TypeReference>> {
        value_type
            .map(|value_type| self.reference(value_type))
            .transpose()
    }

    fn named(&self, definition: &TypeDef) -> Named {
        let interface = match definition.owner {
            TypeOwner::Interface(id) => self.interfaces.get(&id).cloned().flatten(),
            TypeOwner::World(_) | TypeOwner::None => None,
        };
        Named {
            name: definition.name.clone().unwrap_or_default(),
            interface,
            docs: text(&definition.docs),
        }
    }

    fn side(&self, id: TypeId) -> Side {
        let mut host = self.plan.host_resources.iter();
        if host.any(|resource| resource.id == id) {
            Side::Host
        } else {
            Side::Guest
        }
    }
}

fn label(name: &str, docs: &Docs) -> Label {
    Label {
        name: name.into(),
        docs: text(docs),
    }
}

fn text(docs: &Docs) -> Option<String> {
    docs.contents.clone()
}

/// Types that were refused before.
fn unexpected(what: &str) -> BridgeError {
    BridgeError::internal("description", format!("unexpected {what}"))
}
