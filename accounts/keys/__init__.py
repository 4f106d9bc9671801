"""Data keys, one per subject and category, in a database of their own (P21).

Envelope encryption: a data key encrypts values, a key-encryption key (KEK) of the provider wraps the data key.
Whoever destroys a data key has erased what it encrypted, in every backup too.
"""
