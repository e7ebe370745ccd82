/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Self-signed certificates with their keys (EC P-256), made for these tests and
 * of no use elsewhere: `openssl req` and `openssl ca -selfsign`.
 */

/* localhost and 127.0.0.1, until 2120 */
static const char good_pem[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBSzCB8qADAgECAgEFMAoGCCqGSM49BAMCMA8xDTALBgNVBAMMBGdvb2QwIBcN\n"
    "MjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMA8xDTALBgNVBAMMBGdvb2Qw\n"
    "WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAR6dHgJgIRAQw2fYC0XSa0P6BhDbhkg\n"
    "O17cLXQRF8QQ9PwZ08HSked5sK9QuPVZbwAZ/5MqX7DD9Q1J6RuogSYBoz0wOzAa\n"
    "BgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwHQYDVR0OBBYEFLoc6PHuHqOdco1A\n"
    "heMWPSmJ8Un4MAoGCCqGSM49BAMCA0gAMEUCIEZPlJMnHConihRwlvAW3WLvjKjM\n"
    "y128KC0vd3yXOmPKAiEAmn+k3NeM85xN5psnSa1CWqLaoCzjmpEfSiwBsJvmamA=\n"
    "-----END CERTIFICATE-----\n"
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgeaeFdTlrOaVMIDm8\n"
    "RYV5C+STgh35AMF9JniWA2BtXX+hRANCAAR6dHgJgIRAQw2fYC0XSa0P6BhDbhkg\n"
    "O17cLXQRF8QQ9PwZ08HSked5sK9QuPVZbwAZ/5MqX7DD9Q1J6RuogSYB\n"
    "-----END PRIVATE KEY-----\n";

/* elsewhere.example, until 2120 */
static const char other_pem[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBTjCB9qADAgECAgEGMAoGCCqGSM49BAMCMBAxDjAMBgNVBAMMBW90aGVyMCAX\n"
    "DTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAQMQ4wDAYDVQQDDAVvdGhl\n"
    "cjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABEwPrIqeeNDaOcz4YvUQpb1exA0j\n"
    "JluDG3LofVuSUdvwmnLTTy3ctAYm7ubKFw3Yjgna2dhVsjlSDE1BjDt6N22jPzA9\n"
    "MBwGA1UdEQQVMBOCEWVsc2V3aGVyZS5leGFtcGxlMB0GA1UdDgQWBBRGaQoxxDM/\n"
    "O4qDFYpycTTFITJ8TjAKBggqhkjOPQQDAgNHADBEAiBPqgQ6Ub+aPRA3hKMTUllp\n"
    "0RsFHT5VRcBbUOBFxRO5FgIgDnsT3CU7bNmnOgauKftBWlSH7ZSCdMQYRKtEnxuU\n"
    "7uI=\n"
    "-----END CERTIFICATE-----\n"
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgUDhoWKXIuies+w6R\n"
    "92teMx12NhzJE1eHgDIyWT8rzv6hRANCAARMD6yKnnjQ2jnM+GL1EKW9XsQNIyZb\n"
    "gxty6H1bklHb8Jpy008t3LQGJu7myhcN2I4J2tnYVbI5UgxNQYw7ejdt\n"
    "-----END PRIVATE KEY-----\n";

/* localhost and 127.0.0.1, until 2020 */
static const char expired_pem[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBTzCB9qADAgECAgEHMAoGCCqGSM49BAMCMBIxEDAOBgNVBAMMB2V4cGlyZWQw\n"
    "HhcNMjAwMTAxMDAwMDAwWhcNMjAwMTAyMDAwMDAwWjASMRAwDgYDVQQDDAdleHBp\n"
    "cmVkMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEcNWiYbepdF64qMQcFGwzyLgF\n"
    "5K7ZBZPZvsCgLu0T4AxPzGRJZFrUb3YzNYSgnNd6edPcYN7Xi13yBrxyCq3+j6M9\n"
    "MDswGgYDVR0RBBMwEYIJbG9jYWxob3N0hwR/AAABMB0GA1UdDgQWBBRSIHTeSVGP\n"
    "oN66kdg9PvUgNcsb2DAKBggqhkjOPQQDAgNIADBFAiEAjjOIuf58UbwEe8BGMvt8\n"
    "pS+p89Zc4Xg7ubRtLchXzB0CIFOs/jataiCN8UjsprfpGo5QKMwVYcVcMcpBc9Xr\n"
    "qQwB\n"
    "-----END CERTIFICATE-----\n"
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg4fYBYIWJyVPi5XHO\n"
    "VlIYeA2MYeJOP62P8LX1JD7sj8KhRANCAARw1aJht6l0XrioxBwUbDPIuAXkrtkF\n"
    "k9m+wKAu7RPgDE/MZElkWtRvdjM1hKCc13p509xg3teLXfIGvHIKrf6P\n"
    "-----END PRIVATE KEY-----\n";
