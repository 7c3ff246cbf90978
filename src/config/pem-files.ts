import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { FindingList } from './finding-list.ts'
import type { Path } from './pointer.ts'

const CERTIFICATE = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[\s\S]+?-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g

/** Reads the PEM files that a document names, each once, and looks whether they can be used. */
export class PemFiles {
  /** Content by absolute name. */
  readonly files: Record<string, string> = {}
  readonly #folder: string
  readonly #list: FindingList

  /** `folder`: of the document. */
  constructor(folder: string, list: FindingList) {
    this.#folder = folder
    this.#list = list
  }

  /** Checks one or more certificates; answers the first. */
  certificate(name: string, path: Path): X509Certificate | null {
    const text = this.#read(name, path)
    if (text === null) return null
    const blocks = text.match(CERTIFICATE) ?? []
    try {
      const certificates = blocks.map(block => new X509Certificate(block))
      if (certificates[0] !== undefined) return certificates[0]
    } catch {
      // Said below: what OpenSSL has to say of it helps no one.
    }
    this.#list.add(path, `${this.#list.quote(path, name)} holds no certificate that can be read: PEM is expected (-----BEGIN CERTIFICATE-----)`)
    return null
  }

  privateKey(name: string, path: Path): KeyObject | null {
    const text = this.#read(name, path)
    if (text === null) return null
    try {
      return createPrivateKey(text)
    } catch (cause) {
      const needsPassphrase = (cause as NodeJS.ErrnoException).code === 'ERR_MISSING_PASSPHRASE'
      this.#list.add(path, `${this.#list.quote(path, name)} ${needsPassphrase
        ? 'is encrypted: store the key without a passphrase, readable by the gateway only'
        : 'holds no private key that can be read: PEM is expected (-----BEGIN PRIVATE KEY-----)'}`)
      return null
    }
  }

  /** Checks a certificate, its key, and that they belong together. `path`: of the object that names both. */
  pair(cert: string, key: string, path: Path): void {
    const certificate = this.certificate(cert, [...path, 'cert'])
    const privateKey = this.privateKey(key, [...path, 'key'])
    if (certificate === null || privateKey === null || certificate.checkPrivateKey(privateKey)) return
    this.#list.add([...path, 'key'], `${this.#list.quote([...path, 'key'], key)} is not the key of certificate ${this.#list.quote([...path, 'cert'], cert)}`)
  }

  /** The content of a file; null, and a finding, when it can't be read. */
  text(name: string, path: Path): string | null {
    return this.#read(name, path)
  }

  #read(name: string, path: Path): string | null {
    const file = resolve(this.#folder, name)
    try {
      return this.files[file] ??= readFileSync(file, 'utf8')
    } catch (cause) {
      // The code only: the system's message repeats the name, which may hold a variable.
      const code = (cause as NodeJS.ErrnoException).code ?? 'unknown'
      this.#list.add(path, `${this.#list.quote(path, name)} can't be read: ${code === 'ENOENT' ? 'there is no such file' : code}`)
      return null
    }
  }
}
