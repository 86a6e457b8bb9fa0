/** The main facts of a report, in words. */

import { t } from './language'
import type { Report, Stream } from './server'
import { moment, size } from './words'

export function describe({ probe, audio, source }: Report): [name: string, value: string][] {
  const found: [string, string][] = []
  const streams = probe?.streams ?? []
  const picture = streams.find(isMoving)
  const sound = streams.find((stream) => stream.type === 'audio')
  if (typeof probe?.duration === 'number') found.push([t.report.length, moment(probe.duration)])
  if (picture) found.push([t.report.video, describePicture(picture)])
  if (sound) found.push([t.report.sound, describeSound(sound)])
  const { integrated, true_peak: peak } = audio?.loudness ?? {}
  if (typeof integrated === 'number') {
    const loudness = [t.report.lufs(t.write.number(integrated, 1))]
    if (typeof peak === 'number') loudness.push(t.report.peak(t.write.number(peak, 1)))
    found.push([t.report.loudness, loudness.join(', ')])
  }
  if (probe?.container) found.push([t.report.container, probe.container])
  if (typeof source?.size === 'number') found.push([t.report.size, size(source.size)])
  return found
}

/** Whether it is a video, and not the picture on a cover. */
export function isMoving({ type, cover }: Stream): boolean {
  return type === 'video' && !cover
}

function describePicture({ codec, width, height, frame_rate: rate }: Stream): string {
  const parts = [codec ?? t.report.unknown]
  if (width && height) parts.push(`${width} × ${height}`)
  if (rate) parts.push(t.report.frames(Number(rate.toFixed(3))))
  return parts.join(', ')
}

function describeSound({ codec, layout, channels, sample_rate: rate }: Stream): string {
  const parts = [codec ?? t.report.unknown]
  if (layout) parts.push(layout)
  else if (channels) parts.push(t.report.channels(channels))
  if (rate) parts.push(`${rate / 1000} kHz`)
  return parts.join(', ')
}
