//! Which form the market records have, chosen once.

use super::batch::Batch;
use super::json::decode;
use super::vendors::Vendor;

/// Decodes market records of one form. The native one costs nothing beside [`decode`].
#[derive(Clone, Default, Debug)]
pub enum Decoder {
    /// This project's own JSON records.
    #[default]
    Native,
    /// A market data vendor's messages.
    Vendor(Vendor),
    /// Native records in Avro.
    #[cfg(feature = "avro")]
    Avro(std::sync::Arc<super::avro::AvroSchemas>),
    /// Native records in Protobuf.
    #[cfg(feature = "protobuf")]
    Protobuf,
}

impl Decoder {
    /// Decodes one record value: the value of a Kafka record, or a line.
    #[inline]
    pub fn decode<'a>(&self, value: &'a [u8]) -> Batch<'a> {
        match self {
            Self::Native => Batch::one(decode(value)),
            Self::Vendor(vendor) => vendor.decode(value),
            #[cfg(feature = "avro")]
            Self::Avro(schemas) => Batch::one(schemas.decode(value)),
            #[cfg(feature = "protobuf")]
            Self::Protobuf => Batch::one(super::protobuf::decode(value)),
        }
    }

    /// Whether records may hold any byte, so that no line of a file can.
    pub fn is_binary(&self) -> bool {
        !matches!(self, Self::Native | Self::Vendor(_))
    }
}
