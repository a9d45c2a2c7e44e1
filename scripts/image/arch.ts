/** Architectures in Debian's, Go's and OCI's words, which agree. */
export const arches = ["amd64", "arm64"] as const;

export type Arch = (typeof arches)[number];

/** Node's and npm's word. */
export const npmArch: Readonly<Record<Arch, string>> = { amd64: "x64", arm64: "arm64" };
