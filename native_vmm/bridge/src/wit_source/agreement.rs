//! Whether two files that have parts of one package say the same of what is in both.
//!
//! wit-parser puts them together by their names, and keeps the first of two definitions.

use std::collections::HashMap;

use wit_parser::{
    Function, Handle, Interface, InterfaceId, Package, Resolve, Type, TypeDef, TypeDefKind, TypeId,
    TypeOwner,
};

/// The first item that is in both packages, and not the same.
pub(super) fn difference(
    (one, package): (&Resolve, &Package),
    (other, other_package): (&Resolve, &Package),
) -> Option<String> {
    let mut pair = Pair {
        one,
        other,
        types: HashMap::new(),
        interfaces: HashMap::new(),
    };
    package.interfaces.iter().find_map(|(name, id)| {
        let interface = &one.interfaces[*id];
        let other_interface = &other.interfaces[*other_package.interfaces.get(name)?];
        let item = pair.difference(interface, other_interface)?;
        Some(format!(
            "{}.{item}",
            one.id_of_name(interface.package?, name)
        ))
    })
}

/// Both, with what is known of them already: what is used often, or has a long name, is looked
/// at once.
struct Pair<'a> {
    one: &'a Resolve,
    other: &'a Resolve,
    types: HashMap<(TypeId, TypeId), bool>,
    interfaces: HashMap<(InterfaceId, InterfaceId), bool>,
}

impl<'a> Pair<'a> {
    fn difference(&mut self, one: &'a Interface, other: &Interface) -> Option<&'a str> {
        let mut types = one.types.iter();
        let first = types.find(|(name, id)| {
            let known = other.types.get(*name);
            known.is_some_and(|known| !self.same_definition(**id, *known))
        });
        if let Some((name, _)) = first {
            return Some(name);
        }
        let mut functions = one.functions.iter();
        let first = functions.find(|(name, function)| {
            let known = other.functions.get(*name);
            known.is_some_and(|known| !self.same_function(function, known))
        });
        first.map(|(name, _)| name.as_str())
    }

    fn same_function(&mut self, one: &Function, other: &Function) -> bool {
        let (params, others) = (&one.params, &other.params);
        same_all(params, others, |one, other| {
            one.name == other.name && self.same(one.ty, other.ty)
        }) && self.same_optional(one.result, other.result)
    }

    /// Compares types where they are used: by their names, if they have some.
    fn same(&mut self, one: Type, other: Type) -> bool {
        let (Type::Id(one), Type::Id(other)) = (one, other) else {
            return one == other;
        };
        if let Some(known) = self.types.get(&(one, other)) {
            return *known;
        }
        let (left, right) = (&self.one.types[one], &self.other.types[other]);
        let same = match (&left.name, &right.name) {
            (None, None) => self.same_definition(one, other),
            (Some(name), Some(other_name)) => self.same_owner(left, right) && name == other_name,
            _ => false,
        };
        self.types.insert((one, other), same);
        same
    }

    fn same_owner(&mut self, one: &TypeDef, other: &TypeDef) -> bool {
        let (one, other) = match (one.owner, other.owner) {
            (TypeOwner::Interface(one), TypeOwner::Interface(other)) => (one, other),
            (one, other) => {
                return !matches!(one, TypeOwner::Interface(_))
                    && !matches!(other, TypeOwner::Interface(_));
            }
        };
        if let Some(known) = self.interfaces.get(&(one, other)) {
            return *known;
        }
        let (left, right) = (&self.one.interfaces[one], &self.other.interfaces[other]);
        let package = left.package.map(|id| &self.one.packages[id].name);
        let other_package = right.package.map(|id| &self.other.packages[id].name);
        let same = left.name == right.name && package == other_package;
        self.interfaces.insert((one, other), same);
        same
    }

    fn same_optional(&mut self, one: Option<Type>, other: Option<Type>) -> bool {
        match (one, other) {
            (None, None) => true,
            (Some(one), Some(other)) => self.same(one, other),
            _ => false,
        }
    }

    fn same_definition(&mut self, one: TypeId, other: TypeId) -> bool {
        use TypeDefKind as Kind;
        match (&self.one.types[one].kind, &self.other.types[other].kind) {
            (Kind::Record(one), Kind::Record(other)) => {
                same_all(&one.fields, &other.fields, |one, other| {
                    one.name == other.name && self.same(one.ty, other.ty)
                })
            }
            (Kind::Variant(one), Kind::Variant(other)) => {
                same_all(&one.cases, &other.cases, |one, other| {
                    one.name == other.name && self.same_optional(one.ty, other.ty)
                })
            }
            (Kind::Enum(one), Kind::Enum(other)) => {
                same_all(&one.cases, &other.cases, |one, other| {
                    one.name == other.name
                })
            }
            (Kind::Flags(one), Kind::Flags(other)) => {
                same_all(&one.flags, &other.flags, |one, other| {
                    one.name == other.name
                })
            }
            (Kind::Tuple(one), Kind::Tuple(other)) => {
                same_all(&one.types, &other.types, |one, other| {
                    self.same(*one, *other)
                })
            }
            (Kind::Result(one), Kind::Result(other)) => {
                self.same_optional(one.ok, other.ok) && self.same_optional(one.err, other.err)
            }
            (Kind::Map(key, value), Kind::Map(other_key, other_value)) => {
                self.same(*key, *other_key) && self.same(*value, *other_value)
            }
            (Kind::Future(one), Kind::Future(other)) | (Kind::Stream(one), Kind::Stream(other)) => {
                self.same_optional(*one, *other)
            }
            (Kind::FixedLengthList(one, length), Kind::FixedLengthList(other, other_length)) => {
                length == other_length && self.same(*one, *other)
            }
            (Kind::Type(one), Kind::Type(other))
            | (Kind::List(one), Kind::List(other))
            | (Kind::Option(one), Kind::Option(other)) => self.same(*one, *other),
            (Kind::Handle(Handle::Own(one)), Kind::Handle(Handle::Own(other)))
            | (Kind::Handle(Handle::Borrow(one)), Kind::Handle(Handle::Borrow(other))) => {
                self.same(Type::Id(*one), Type::Id(*other))
            }
            (Kind::Resource, Kind::Resource) | (Kind::Unknown, Kind::Unknown) => true,
            _ => false,
        }
    }
}

fn same_all<T>(one: &[T], other: &[T], mut same: impl FnMut(&T, &T) -> bool) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
}
