#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Makes certificates for the tests, in the given directory:
#   ca.pem        the authority, to be trusted
#   good.pem      localhost and 127.0.0.1, signed by it
#   wronghost.pem elsewhere.example, signed by it
#   expired.pem   as good.pem, but of the year 2000
#   self.pem      localhost, signed by itself, as moshi-backend makes its own
# each with its NAME.key.
set -eu

dir=${1:?usage: make-certs.sh DIRECTORY}
mkdir -p "$dir"
cd "$dir"

quietly () {
  "$@" 2>openssl.log || { cat openssl.log >&2; exit 1; }
}

new_key () {
  quietly openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"
}

extensions () {
  printf '[ext]\nbasicConstraints=critical,CA:FALSE\nsubjectAltName=%s\n' \
    "$1"
}

# sign NAME SUBJECT-ALT-NAMES DATES...
sign () {
  name=$1
  extensions "$2" >"$name.cnf"
  shift 2
  new_key "$name"
  quietly openssl req -new -key "$name.key" -subj "/CN=$name" \
    -out "$name.csr"
  quietly openssl ca -batch -notext -config ca.cnf -extfile "$name.cnf" \
    -extensions ext "$@" -in "$name.csr" -out "$name.pem"
  rm -f "$name.csr" "$name.cnf"
}

rm -rf issued index.txt* serial*
mkdir issued
: >index.txt
echo 01 >serial
cat >ca.cnf <<'END'
[req]
distinguished_name=dn
x509_extensions=v3
[dn]
[v3]
basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign,cRLSign
subjectKeyIdentifier=hash
[ca]
default_ca=stand_in
[stand_in]
database=index.txt
serial=serial
new_certs_dir=issued
certificate=ca.pem
private_key=ca.key
default_md=sha256
default_days=3650
unique_subject=no
policy=any
[any]
commonName=supplied
END

new_key ca
quietly openssl req -x509 -new -key ca.key -config ca.cnf -extensions v3 \
  -subj "/CN=stand-in authority" -days 3650 -out ca.pem

sign good DNS:localhost,IP:127.0.0.1
sign wronghost DNS:elsewhere.example
sign expired DNS:localhost,IP:127.0.0.1 \
  -startdate 20000101000000Z -enddate 20000201000000Z

extensions DNS:localhost >self.cnf
printf '[req]\ndistinguished_name=dn\n[dn]\n' >>self.cnf
new_key self
quietly openssl req -x509 -new -key self.key -config self.cnf \
  -extensions ext -subj "/CN=self" -days 3650 -out self.pem

rm -rf issued index.txt* serial* ca.cnf self.cnf openssl.log
