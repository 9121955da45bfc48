//! UCRP datagrams.

use parlance::limits::UCRP_DATAGRAM_BYTES_MAX;
use parlance::wire::ucrp::{Datagram, DatagramError, Delivery};
use parlance::wire::{Codec, Dialect, Fit};

/// What a datagram says, on either side, is encoded as the same bytes; but for those that are too long for us to send.
pub fn run(bytes: &[u8]) {
    match Datagram::decode(bytes) {
        Ok(datagram) => {
            let mut again = Vec::new();
            datagram.encode(&mut again).expect("it was said");
            assert_eq!(again, bytes);
            let _ = datagram.message.command();
        }
        Err(error) => assert_eq!(error == DatagramError::TooLong, bytes.len() > UCRP_DATAGRAM_BYTES_MAX),
    }
    if let Ok(delivery) = Delivery::decode(bytes) {
        let mut again = Vec::new();
        let fit = delivery.encode(&mut again);
        assert!(again.len() <= UCRP_DATAGRAM_BYTES_MAX);
        assert_eq!(fit == Fit::Whole, bytes.len() <= UCRP_DATAGRAM_BYTES_MAX);
        if fit == Fit::Whole {
            assert_eq!(again, bytes);
        } else {
            let Ok(Delivery::Relay { .. }) = Delivery::decode(&again) else {
                panic!("a text is cut at a character")
            };
        }
        let mut told = Vec::new();
        let _ = Dialect::Ucrp.encode_event(&Codec::default(), &delivery.event(), &mut told);
        Delivery::decode(&told).expect("it was told before");
    }
}
