/** A small picture of a chosen file, made by the browser from the file itself. */

import { useEffect, useState } from 'preact/compat'

/** Nothing for a file that no browser makes a picture of. */
export function Preview({ file }: { file: File }) {
  const kind = /^(image|video)\//.exec(file.type)?.[1]
  const [address, setAddress] = useState<string | null>(null)
  useEffect(() => {
    if (kind === undefined) return
    const made = URL.createObjectURL(file)
    setAddress(made)
    return () => URL.revokeObjectURL(made)
  }, [file])
  if (kind === undefined) return null
  // Without a picture, its frame stays with a sign in it, so that nothing moves.
  const onError = () => setAddress(null)
  return (
    <span className={`preview ${kind}`} aria-hidden="true">
      {address !== null &&
        (kind === 'image' ? (
          <img src={address} alt="" decoding="async" onError={onError} />
        ) : (
          <video src={`${address}#t=0.5`} muted playsInline preload="metadata" tabIndex={-1} onError={onError} />
        ))}
    </span>
  )
}
