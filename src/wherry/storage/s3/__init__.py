"""Bytes in an object store that speaks S3.

    PREFIX/files/<upload_id><suffix>         finished; its multipart upload before that
    PREFIX/unfinished/<upload_id>            the marker of an unfinished upload (markers.py)
    PREFIX/fragments/<upload_id>/<token>/…   bytes that are no whole part yet (fragments.py)
    PREFIX/assessments/<id>/<name>           pictures (pictures.py)
    PREFIX/wherry.json                       which catalog the files belong to (installation.py)

    parts       which parts a file has: arithmetic
    connecting  a client of botocore
    bucket      one call for each request to the store, with errors of ours
    signed      the requests that every upload makes, without botocore's client
    remembered  what this process has done itself: it saves requests
    markers     what every process has to know of an unfinished upload
    fragments   their names, and how they are put together to parts
    multipart   one unfinished upload: parts, fragments, completion
    one_part    one that needs no multipart upload
    copying     bytes of one unfinished upload are put into another
    writer      an open range: gathers bytes in memory until they are a part
    file        a finished object, to be read
    arrival     a file that one request brings
    checking    what the store can do, and what an operator should know
    installation  which catalog the files belong to
    reconcile   what is left of uploads that no record knows

Rule 1: no process knows anything that another one needs. What is remembered in memory only saves
requests, and the store has the last word.

Rule 2: every copy of a byte is equal, as long as a client sends the same bytes of a file when it
sends them again. So two processes may write the same part or fragment at the same time, in any
order, and nothing needs a lock. Where a client does send other bytes, the store compares the CRC of
the whole file with the recorded one before the object exists, and refuses.
"""
