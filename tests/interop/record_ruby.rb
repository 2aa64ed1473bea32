#!/usr/bin/ruby
# Checks one of our records with Debian's ruby-cose: a complete COSE
# implementation that has ES256K built in and that we did not write.
#
#   record_ruby.rb DIR     reads record.cose, network_id.hex, signer.hex
#
# Exit status 0 only if the record is accepted and every altered twin refused.
require "cose"

# ruby-cose builds its OpenSSL key by assignment, which OpenSSL 3 no longer
# permits. This hands it a key that was parsed instead; checking stays its own.
class Signer < COSE::Key::EC2
  PREFIX = ["3056301006072a8648ce3d020106052b8104000a034200"].pack("H*")

  def self.from_compressed(bytes)
    group = OpenSSL::PKey::EC::Group.new("secp256k1")
    point = OpenSSL::PKey::EC::Point.new(group, OpenSSL::BN.new(bytes, 2))
    plain = point.to_octet_string(:uncompressed)
    new(crv: 8, alg: -47, kid: bytes, x: plain[1, 32], y: plain[33, 32])
  end

  def to_pkey
    OpenSSL::PKey.read(PREFIX + "\x04".b + x + y)
  end
end

def accepted?(record, network_id, signer)
  message = COSE::Sign1.deserialize(record)
  return false unless message.algorithm.name == "ES256K"

  message.verify(Signer.from_compressed(signer), "consent/v1".b + network_id)
rescue COSE::Error
  false
end

def flip(bytes, at)
  copy = bytes.dup
  copy.setbyte(at, copy.getbyte(at) ^ 1)
  copy
end

directory = ARGV.fetch(0)
record = File.binread(File.join(directory, "record.cose"))
network_id = [File.read(File.join(directory, "network_id.hex")).strip].pack("H*")
signer = [File.read(File.join(directory, "signer.hex")).strip].pack("H*")

abort "refused the good record" unless accepted?(record, network_id, signer)
puts "accepted"

protected_header, unprotected, payload, signature = CBOR.decode(record).value
altered = lambda do |new_payload, new_signature|
  CBOR.encode(CBOR::Tagged.new(18, [protected_header, unprotected, new_payload, new_signature]))
end
abort "the twins would not be this record" unless altered.call(payload, signature) == record
{
  "payload" => [altered.call(flip(payload, payload.bytesize - 1), signature), network_id],
  "signature" => [altered.call(payload, flip(signature, 40)), network_id],
  "network" => [record, flip(network_id, 0)]
}.each do |what, (bytes, network)|
  abort "accepted a twin with an altered #{what}" if accepted?(bytes, network, signer)
end
puts "refused every altered twin"
