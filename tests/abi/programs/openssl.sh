# SPDX-License-Identifier: Apache-2.0
# abi-needs: openssl
# openssl: digests, ciphers, keys.
echo -n abc | openssl sha256
seq 10000 >f; openssl dgst -sha512 f; openssl md5 f
openssl enc -aes-256-cbc -pbkdf2 -pass pass:x -S 0011223344556677 -in f -out f.enc; sha256sum <f.enc
openssl enc -d -aes-256-cbc -pbkdf2 -pass pass:x -S 0011223344556677 -in f.enc | cmp - f && echo same
openssl genpkey -algorithm ed25519 -out key 2>/dev/null && openssl pkey -in key -pubout -out pub
openssl pkeyutl -sign -rawin -inkey key -in f -out sig && openssl pkeyutl -verify -rawin -pubin -inkey pub -in f -sigfile sig
openssl rand -hex 16 | wc -c
openssl base64 <<<text
openssl nonsense 2>/dev/null; echo $?
rm -f key pub sig
