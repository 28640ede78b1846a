//! Makes functions of a world refer to types of interfaces by `use`, as WIT text would.
//!
//! wit-component insists on it when it encodes a world. A component need not be so, and
//! importing what another component exports leaves such references behind.

use std::collections::HashMap;

use wit_parser::{
    Function, Handle, Resolve, Type, TypeDef, TypeDefKind, TypeId, TypeOwner, WorldId, WorldItem,
    WorldKey,
};

use crate::resolve_items::add_type;

/// Adds `use` items to the imports of one world.
pub(crate) struct Uses<'a> {
    resolve: &'a mut Resolve,
    world: WorldId,
    replaced: HashMap<TypeId, TypeId>,
    /// What was added: the name, and the type of an interface that it stands for.
    pub(crate) added: Vec<(String, TypeId)>,
}

impl<'a> Uses<'a> {
    pub(crate) fn new(resolve: &'a mut Resolve, world: WorldId) -> Self {
        Self {
            resolve,
            world,
            replaced: HashMap::new(),
            added: Vec::new(),
        }
    }

    /// Changes the types of a function where they are not the world's.
    pub(crate) fn apply(&mut self, function: &mut Function) {
        for param in &mut function.params {
            param.ty = self.value_type(param.ty);
        }
        function.result = function.result.map(|result| self.value_type(result));
    }

    fn value_type(&mut self, value_type: Type) -> Type {
        match value_type {
            Type::Id(id) => Type::Id(self.type_id(id)),
            primitive => primitive,
        }
    }

    fn type_id(&mut self, id: TypeId) -> TypeId {
        if let Some(replacement) = self.replaced.get(&id) {
            return *replacement;
        }
        let definition = self.resolve.types[id].clone();
        let replacement = match definition.owner {
            owner if owner == TypeOwner::World(self.world) => id,
            TypeOwner::None => self.anonymous(id, definition),
            TypeOwner::Interface(_) | TypeOwner::World(_) => self.add_use(id),
        };
        self.replaced.insert(id, replacement);
        replacement
    }

    /// The same anonymous type of replaced types.
    fn anonymous(&mut self, id: TypeId, mut definition: TypeDef) -> TypeId {
        let before = definition.kind.clone();
        match &mut definition.kind {
            TypeDefKind::Handle(Handle::Own(resource) | Handle::Borrow(resource)) => {
                *resource = self.type_id(*resource);
            }
            TypeDefKind::Option(inner) | TypeDefKind::List(inner) | TypeDefKind::Type(inner) => {
                *inner = self.value_type(*inner);
            }
            TypeDefKind::Map(key, value) => {
                *key = self.value_type(*key);
                *value = self.value_type(*value);
            }
            TypeDefKind::Tuple(tuple) => {
                for inner in &mut tuple.types {
                    *inner = self.value_type(*inner);
                }
            }
            TypeDefKind::Result(result) => {
                for inner in [&mut result.ok, &mut result.err].into_iter().flatten() {
                    *inner = self.value_type(*inner);
                }
            }
            // The others have names, or were refused.
            _ => {}
        }
        if definition.kind == before {
            return id;
        }
        self.resolve.types.alloc(definition)
    }

    fn add_use(&mut self, id: TypeId) -> TypeId {
        let name = self.new_name();
        let kind = TypeDefKind::Type(Type::Id(id));
        let used = add_type(
            self.resolve,
            Some(&name),
            kind,
            TypeOwner::World(self.world),
        );
        let item = WorldItem::Type {
            id: used,
            span: Default::default(),
        };
        let imports = &mut self.resolve.worlds[self.world].imports;
        imports.insert(WorldKey::Name(name.clone()), item);
        self.added.push((name, id));
        used
    }

    fn new_name(&self) -> String {
        let imports = &self.resolve.worlds[self.world].imports;
        let mut number = self.added.len();
        loop {
            let name = format!("type{number}");
            if !imports.contains_key(&WorldKey::Name(name.clone())) {
                return name;
            }
            number += 1;
        }
    }
}
