/**
 * Records the camera or the screen, and gives the recording to the page as a file.
 *
 * Rule 1: nothing is recorded before the user wants it, and the camera is off as soon as it has ended.
 */

import { useEffect, useRef, useState } from 'preact/compat'
import { t } from './language'
import { duration } from './words'

/** In milliseconds. A browser hands over what it has recorded in such pieces. */
const PIECE = 1000

type Kind = 'camera' | 'screen'

interface Recording {
  stream: MediaStream
  recorder: MediaRecorder
}

/** Browsers offer this only on https and on this machine, and phones have no screen to record. */
const can = {
  camera: () => typeof MediaRecorder !== 'undefined' && !!navigator.mediaDevices?.getUserMedia,
  screen: () => typeof MediaRecorder !== 'undefined' && !!navigator.mediaDevices?.getDisplayMedia,
}

export function Recorder({ onFile }: { onFile(file: File): void }) {
  const [recording, setRecording] = useState<Recording | null>(null)
  const [problem, setProblem] = useState<string | null>(null)
  const start = async (kind: Kind) => {
    setProblem(null)
    try {
      setRecording(await record(kind))
    } catch (error) {
      setProblem(problemOf(error as Error))
    }
  }
  if (recording !== null) {
    const end = (file: File | null) => {
      setRecording(null)
      if (file === null) return
      if (file.size > 0) onFile(file)
      else setProblem(t.record.nothing)
    }
    return <Running {...recording} onEnd={end} />
  }
  if (!can.camera() && !can.screen()) return null
  return (
    <div className="recorder">
      <div className="buttons">
        {can.camera() && (
          <button type="button" className="plain" onClick={() => void start('camera')}>
            {t.record.camera}
          </button>
        )}
        {can.screen() && (
          <button type="button" className="plain" onClick={() => void start('screen')}>
            {t.record.screen}
          </button>
        )}
      </div>
      {problem !== null && <p role="alert">{problem}</p>}
    </div>
  )
}

async function record(kind: Kind): Promise<Recording> {
  const wanted = { video: true, audio: true }
  const stream = await (kind === 'camera'
    ? navigator.mediaDevices.getUserMedia(wanted)
    : navigator.mediaDevices.getDisplayMedia(wanted))
  return { stream, recorder: new MediaRecorder(stream) }
}

function problemOf({ name }: Error): string {
  if (name === 'NotAllowedError') return t.record.notAllowed
  return name === 'NotFoundError' ? t.record.notFound : t.record.failed
}

interface RunningProps extends Recording {
  /** Null if the user does not want the recording. */
  onEnd(file: File | null): void
}

function Running({ stream, recorder, onEnd }: RunningProps) {
  const picture = useRef<HTMLVideoElement>(null)
  const stop = useRef<HTMLButtonElement>(null)
  const [seconds, setSeconds] = useState(0)
  const isWanted = useRef(true)
  useEffect(() => {
    const pieces: Blob[] = []
    const listening = new AbortController()
    const { signal } = listening
    recorder.addEventListener(
      'dataavailable',
      ({ data }) => {
        pieces.push(data)
        setSeconds((before) => before + 1)
      },
      { signal },
    )
    // Also when the user ends it in the browser's own bar.
    recorder.addEventListener(
      'stop',
      () => {
        for (const track of stream.getTracks()) track.stop()
        onEnd(isWanted.current ? fileOf(pieces, recorder.mimeType) : null)
      },
      { signal },
    )
    window.addEventListener('beforeunload', (event) => event.preventDefault(), { signal })
    recorder.start(PIECE)
    picture.current!.srcObject = stream
    stop.current!.focus()
    return () => {
      listening.abort()
      for (const track of stream.getTracks()) track.stop()
    }
  }, [recorder])
  const end = (keep: boolean) => {
    isWanted.current = keep
    recorder.stop()
  }
  return (
    <section className="recorder running" aria-label={t.record.label}>
      <video ref={picture} muted autoPlay playsInline aria-hidden="true" tabIndex={-1} />
      <p>{t.record.running(duration(seconds))}</p>
      <div className="buttons">
        <button type="button" className="primary" ref={stop} onClick={() => end(true)}>
          {t.record.stop}
        </button>
        <button type="button" onClick={() => end(false)}>
          {t.record.discard}
        </button>
      </div>
    </section>
  )
}

/** Named after the moment at which it ended. */
function fileOf(pieces: Blob[], type: string): File {
  const kind = type.split(';')[0] || 'video/webm'
  const at = new Date()
  const parts = [at.getFullYear(), at.getMonth() + 1, at.getDate(), at.getHours(), at.getMinutes(), at.getSeconds()]
  const stamp = parts.map((part) => String(part).padStart(2, '0')).join('-')
  return new File(pieces, `recording-${stamp}.${kind.split('/')[1]}`, { type: kind })
}
