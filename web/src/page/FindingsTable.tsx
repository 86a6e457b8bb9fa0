/** What was found, in a table. It says in words what the time axis shows. */

import { t } from './language'
import type { Finding } from './server'
import { moment } from './words'

interface Props {
  findings: readonly Finding[]
  onSeek(at: number): void
}

export function FindingsTable({ findings, onSeek }: Props) {
  return (
    <div className="scrolls" tabIndex={0} role="region" aria-label={t.report.findings}>
      <table>
        <caption>{t.report.count(findings.length)}</caption>
        <thead>
          <tr>
            <th scope="col">{t.report.severity}</th>
            <th scope="col">{t.report.when}</th>
            <th scope="col">{t.report.what}</th>
            <th scope="col">{t.report.code}</th>
          </tr>
        </thead>
        <tbody>
          {findings.map((finding, index) => (
            <tr key={index} className={finding.severity}>
              <td>{t.report.severities[finding.severity]}</td>
              <td className="when">
                <When finding={finding} onSeek={onSeek} />
              </td>
              <td>
                <bdi>{finding.message}</bdi>
              </td>
              <td>
                <code>{finding.code}</code>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function When({ finding, onSeek }: { finding: Finding; onSeek(at: number): void }) {
  const { start, end } = finding
  if (start === null) return <>{t.report.wholeFile}</>
  return (
    <button type="button" className="link" onClick={() => onSeek(start)}>
      {end === null ? moment(start) : t.report.fromTo(moment(start), moment(end))}
      <span className="unseen"> {t.report.goThere}</span>
    </button>
  )
}
