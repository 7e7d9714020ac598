//! The one declaration of a kernel.

/// Declares a kernel: its `SPEC`, its `Params`, its `Io`, from one list each. A kernel's binding order is that of the
/// sections: `read`, `made` (buffers of the crate's own making), `read?` (inputs that may be absent), `write`, `write?`.
macro_rules! kernel {
    (
        $name:literal in $source:literal $(with $entry:literal $entry_subgroup:literal)?: [$($part:ident)*];
        params {$(
            $(#[$doc:meta])*
            $vis:vis $field:ident: $kind:ident,
        )*}
        $(compiled {$(
            $(#[$compiled_doc:meta])*
            $compiled:ident: $compiled_kind:ident,
        )*})?
        $(read {$(
            $(#[$read_doc:meta])*
            $read:ident: $read_access:ident,
        )*})?
        $(made { $made:ident: $made_access:ident, })?
        $(read? {$(
            $(#[$option_doc:meta])*
            $option:ident: $option_access:ident,
        )*})?
        write {$(
            $(#[$write_doc:meta])*
            $write:ident: $write_access:ident,
        )*}
        $(write? {$(
            $(#[$written_doc:meta])*
            $written:ident: $written_access:ident,
        )*})?
    ) => {
        /// The kernel's description.
        pub const SPEC: $crate::kernel::KernelSpec = $crate::kernel::KernelSpec {
            name: $name,
            source: $crate::kernel::file!($source),
            entries: &[$($crate::kernel::file!($entry), $crate::kernel::file!($entry_subgroup))?],
            params: &[$($crate::kernel::Field {
                name: stringify!($field),
                offset: std::mem::offset_of!(Params, $field),
                kind: stringify!($kind),
            }),*],
            compiled: &[$($($crate::kernel::Choice {
                name: stringify!($compiled),
                values: $compiled_kind::NAMES,
            }),*)?],
            bindings: &[
                $($(kernel!(@bound $read $read_access false false),)*)?
                $(kernel!(@bound $made $made_access false false),)?
                $($(kernel!(@bound $option $option_access false true),)*)?
                $(kernel!(@bound $write $write_access true false),)*
                $($(kernel!(@bound $written $written_access true true),)*)?
            ],
            parts: &[$($crate::kernel::Part::$part),*],
        };

        /// Scalars of the kernel, the same for the GPU, the CPU path and the reference.
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::NoUninit)]
        #[non_exhaustive]
        pub struct Params {
            $($(#[$doc])* $vis $field: $kind,)*
            $($($(#[$compiled_doc])* pub $compiled: $compiled_kind,)*)?
        }

        impl Params {
            /// The bytes of the uniform: those of the fields that shaders read.
            fn uniform(&self) -> &[u8] {
                &bytemuck::bytes_of(self)[..4 * SPEC.params.len()]
            }

            $(
                /// The values that are compiled into the shader.
                fn compiled(&self) -> Vec<u32> {
                    vec![$(self.$compiled as u32),*]
                }
            )?
        }

        /// Buffers of the kernel, in the order of its bindings.
        #[derive(Clone, Copy, Debug)]
        #[non_exhaustive]
        pub struct Io<'a> {
            $($($(#[$read_doc])* pub $read: $crate::View<'a>,)*)?
            $(pub(crate) $made: Option<$crate::View<'a>>,)?
            $($($(#[$option_doc])* pub $option: Option<$crate::View<'a>>,)*)?
            $($(#[$write_doc])* pub $write: $crate::View<'a>,)*
            $($($(#[$written_doc])* pub $written: Option<$crate::View<'a>>,)*)?
        }

        impl<'a> Io<'a> {
            /// The buffers that must be there, in the order of the kernel's bindings.
            pub fn new(
                $($($read: impl Into<$crate::View<'a>>,)*)?
                $($write: impl Into<$crate::View<'a>>,)*
            ) -> Self {
                Io {
                    $($($read: $read.into(),)*)?
                    $($made: None,)?
                    $($($option: None,)*)?
                    $($write: $write.into(),)*
                    $($($written: None,)*)?
                }
            }

            $($(
                #[doc = concat!("The same with `", stringify!($option), "`.")]
                #[must_use]
                pub fn $option(self, view: impl Into<$crate::View<'a>>) -> Self {
                    Io { $option: Some(view.into()), ..self }
                }
            )*)?

            $($(
                #[doc = concat!("The same with `", stringify!($written), "`.")]
                #[must_use]
                pub fn $written(self, view: impl Into<$crate::View<'a>>) -> Self {
                    Io { $written: Some(view.into()), ..self }
                }
            )*)?

            /// The view of each binding that is there, in order.
            fn views(&self) -> Vec<Option<$crate::View<'a>>> {
                vec![
                    $($(self.$read.into(),)*)?
                    $(self.$made,)?
                    $($(self.$option,)*)?
                    $(self.$write.into(),)*
                    $($(self.$written,)*)?
                ]
            }
        }
    };
    (@bound $name:ident $access:ident $written:literal $optional:literal) => {
        $crate::kernel::Binding {
            name: stringify!($name),
            access: $crate::kernel::Access::$access,
            written: $written,
            optional: $optional,
        }
    };
}
pub(crate) use kernel;

/// Declares a field of `Params` with a name for each value, counted from 0; the first is the default.
macro_rules! choice {
    (
        $(#[$doc:meta])*
        pub enum $name:ident {
            $(#[$first_doc:meta])* $first:ident,
            $($(#[$value_doc:meta])* $value:ident,)*
        }
    ) => {
        $(#[$doc])*
        #[repr(u32)]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, bytemuck::NoUninit)]
        #[non_exhaustive]
        pub enum $name {
            $(#[$first_doc])* #[default] $first,
            $($(#[$value_doc])* $value,)*
        }

        impl $name {
            /// Every value, in order.
            pub const ALL: &[$name] = &[$name::$first, $($name::$value),*];
            /// The name of each.
            #[allow(dead_code, reason = "for those that are compiled into shaders")]
            pub(crate) const NAMES: &[&str] = &[stringify!($first), $(stringify!($value)),*];
        }
    };
}
pub(crate) use choice;
