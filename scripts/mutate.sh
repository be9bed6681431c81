#!/bin/bash
# Breaks each promise on purpose, and expects the tests named beside it to fail. Nothing in the tree is touched: the compiler is given the broken
# file in place of the good one (go help build, -overlay). One more is tried at a time than there are processors, for many tests wait.
#
# ONLY=text tries the lines that contain it. CHECK=1 runs no test: it tells which lines no longer break anything (make lint does).
#
# A line: name | file | sed script | package | tests
# Several commands of a sed script stand behind each other with ; and each of them must change something.
set -euo pipefail
cd "$(dirname "$0")/.."

mutants() { cat <<'END'
commits without a sync | store/open.go | s/^\t\tNoFreelistSync: true,/\t\tNoSync: true, NoFreelistSync: true,/ | ./test/trace | TestSignatureLeavesAfterTheSync
commits without a sync (2) | store/open.go | s/^\t\tNoFreelistSync: true,/\t\tNoSync: true, NoFreelistSync: true,/ | ./store | TestFailedCommitPoisons
acts on a commit that was never synced | store/disk/disk.go | s/err := f.Sync()/err := error(nil)/ | ./test/trace | TestStartReadsWhatIsOnTheDisk
believes pages whose writing failed | store/disk/disk.go | s/return dropCache(f)/return nil/ | ./test/trace | TestStartReadsWhatIsOnTheDisk
believes a name that was never synced | store/filecheck.go | s/disk.SyncDir(filepath.Dir(path))/func(string) error { return nil }(filepath.Dir(path))/ | ./test/trace | TestStartReadsWhatIsOnTheDisk
answers before the mark is durable | signer/sign.go | s/out.TimeCommit(durable.Wait)/out.TimeCommit(func() error { _ = durable; return nil })/ | ./signer | TestNothingLeavesBeforeItIsDurable
answers before the mark is durable (2) | signer/sign.go | s/out.TimeCommit(durable.Wait)/out.TimeCommit(func() error { _ = durable; return nil })/ | ./test/crash | TestCrash
lets a stalled disk hold up a signature | store/horizon.go | s/case e.mark.Level <= h.durable:/case e.mark.Level <= h.durable-9:/ | ./test/year | TestYear
trusts a horizon that is only queued | store/horizon.go | s/case e.mark.Level <= h.durable:/case e.mark.Level <= h.want-db.ahead:/ | ./store | TestAHorizonThatIsOnDisk
trusts a horizon that is on its way | store/horizon.go | /case e.mark.Level <= h.taken:/,/return db.taken/s/return db.taken/return covered{db}/ | ./store | TestAHorizonThatIsOnDisk
forgets the horizon at the start | store/session.go | s/e.mark = floor$/_ = floor/ | ./store | TestAPowerCutCostsTheHorizon
forgets the horizon at the start (3) | store/session.go | s/e.mark = floor$/_ = floor/ | ./test/crash | TestCrash
makes a floor of a horizon for one kind only | store/session.go | s/open = append(open, e)/open = append(open[:0], e)/ | ./store | TestAPowerCutCostsTheHorizon
believes the runtime file of another session | store/bootmarks/read.go | s/if \[idLen\]byte(b) != id {/if b[0] != id[0] || string(b[9:idLen]) != string(id[9:]) {/ | ./store | TestARuntimeFileThatIsNotBelieved
believes the runtime file of another boot | store/bootmarks/read.go | s/ || here != last.Boot {/ {/ | ./store | TestARuntimeFileThatIsNotBelieved
believes a runtime file on a disk | store/bootmarks/tmpfs_linux.go | s/if int64(fs.Type) != unix.TMPFS_MAGIC {/if false {/ | ./store | TestNoRuntimeFileOnADisk
believes a runtime file that was put back | store/bootmarks/read.go | s/if apart(newest, st.changed) > stampSlack {/if apart(newest, st.changed) < 0 {/ | ./store | TestARuntimeFileThatIsNotBelieved
believes a copy of the runtime file | store/bootmarks/file.go | s/binary.BigEndian.PutUint64(id\[33:\], f.Inode)/_ = f.Inode/ | ./store | TestARuntimeFileThatIsNotBelieved
believes a record below the disk's mark | store/session.go | s/return memory.Above(disk) || .*/return true/ | ./store | TestARecordBelowTheDisk
answers before the record is in the runtime file | store/marks.go | s/db.cover(e, db.remember(e))/db.cover(e, true)/ | ./store | TestARecordThatCannotBeWritten|TestHistories
moves a horizon before there is a runtime file | store/commit.go | s/^\t\tdb.putOff(b)$// | ./store | TestAKillAtTheBeginning
calls a run clean before its marks are on disk | store/commit.go | s/^\tlate := db.late$/\tlate := db.late\n\tif last {\n\t\tlate = nil\n\t}/ | ./store | TestACleanEnd
leaves horizons behind a release | store/role.go | s/^\tdb.takeBack()$// | ./store | TestARoleTakesTheHorizonsBack|TestLateMarksAreWaitedFor
leaves the horizon of a mark that was lowered | store/lower.go | s/^\t\tdb.dropHorizon(.*$// | ./store | TestLowerTakesTheHorizonAlong
covers a mark that the disk does not have | store/horizon.go | s/case !recorded || !e.stored:/case !recorded:/ | ./store | TestAMarkThatIsNotOnDiskIsNotCovered
moves no horizon before the next level needs it | store/horizon.go | s/^\t\tdb.calmTimer.Reset(unhurriedDelay)$// | ./store | TestOneCommitALevel
covers by a file that is gone | store/horizon.go | s/if _, err := last.StillAt(c.db.path); err != nil {/if _, err := last, error(nil); err != nil {/ | ./store | TestNothingIsCoveredByAFileThatIsGone
tells marks that are not on disk | store/queue.go | s/if db.ahead > 0 \&\& len(db.late) > 0 {/if false {/ | ./store | TestLateMarksAreWaitedFor
does not seal the horizons | store/layout/seal.go | s/, BucketHorizons}/}/ | ./store | TestOlderHorizonInPlace
blames the device for the disk | signer/outcome/outcome.go | s/^\to.stage = refusal.StageDisk$// | ./signer | TestWhatTheTimeWasSpentOn
takes a record whose checksum is wrong | hwm/record.go | s/got != binary.BigEndian.Uint32(sum) {/got != binary.BigEndian.Uint32(sum) \&\& len(record) == 0 {/ | ./hwm | TestMarkRecordRoundTrip
compares levels by an unsigned difference | hwm/mark.go | s/cmp.Compare(p.Level, q.Level)/int(uint32(p.Level)-uint32(q.Level))/ | ./signer | TestMonotonic
does not lock the state directory | store/disk/lock.go | s/err := unix.Flock(.*/var err error/ | ./store | TestSecondProcess|TestSecondOpen
signs a block of an unknown layout without a word | internal/tezos/payload.go | s/^\tif !known {/\tif !known \&\& false {/ | ./api | TestANextProtocol
gives no advice when a payload is of a newer protocol | internal/tezos/payload.go | s/case "magic", "tag", "length", "fitness", "dal":/case "":/ | ./api | TestANextProtocol
keeps the advice of a refusal out of the log | signer/outcome/log.go | s/hint := hints.Of(err); hint != ""/hint := hints.Of(err); hint == "-"/ | ./api | TestANextProtocol
does not look again for a daemon that was starting | cmd/cli/access.go | s/dialErr == nil {/dialErr == nil \&\& late == nil {/ | ./cmd/cli | TestCommandBesideAStartingDaemon
gives an attestation with DAL a kind of its own | internal/tezos/payload.go | s/^\treq.Kind = Kind(payload\[0\])/&\n\tif len(payload) > offTag \&\& payload[offTag] == tagAttestationWithDAL {\n\t\treq.Kind = 0x17\n\t}/ | ./internal/tezos | TestDecodeVectors
does not verify what the device gave | signer/ask.go | /^func verify/,/^}/s/err := awaited.Verify(sig)/err := error(nil)/ | ./signer | TestWrongSignatureNeverLeaves
gives a device's high s out | ledger/answer.go | s/if i == 1 \&\& n.Cmp(/if i == 2 \&\& n.Cmp(/ | ./ledger | TestHighSBecomesLow
gives a tz3 key's high s out | ledger/answer.go | s/if i == 1 \&\& n.Cmp(/if i == 1 \&\& curve != P256 \&\& n.Cmp(/ | ./ledger | TestHighSBecomesLow
spends a mark on a level that a Ledger does not take | ledger/limits.go | s/if req.Level > maxLevel {/if false {/ | ./signer | TestLedgerRefusesBeforeTheMarkMoves
spends a mark on what a Ledger's own mark refuses | ledger/limits.go | s/if !below(req, mark, key.last) {/if true {/ | ./signer | TestLedgerRefusesBeforeTheMarkMoves
takes for signed what a device would have refused | guard/memory.go | s/ || o.Spared {/ {/ | ./guard | TestARequestThatWasSpared
does not say that a device was not asked | signer/sign.go | s/^\t\tr.out.Spared()$// | ./signer | TestLedgerRefusesBeforeTheMarkMoves
blames a second program for a socket without a directory | internal/daemon/listenhint.go | s/case errors.Is(err, os.ErrNotExist):/case false:/ | ./internal/daemon | TestListenHint
calls a Ledger that takes no command good | internal/daemon/bus.go | s/f.Err = unusable(f.Info)/_ = unusable/ | ./internal/daemon | TestDevicesThatCannotBeUsed
asks a Ledger for a reveal that its app cannot read | ledger/limits.go | s/if reg.Proof {/if reg.Proof \&\& false {/ | ./ledger | TestRevealOfTodayIsRefusedFirst
gives a Ledger away while a prompt is on its screen | ledger/prompt.go | s/release(d.named(d.answered(s, c, a.err)))/_ = d.answered(s, c, a.err)/;s/return nil, true, /release(nil)\n\t&/ | ./ledger | TestDelegationOutlivesItsRequest
waits for whoever does not answer a prompt when it stops | internal/daemon/instance.go | s/d.Leave()/_ = d/ | ./cmd | TestStopWhileADelegationIsShown
does not look at the fence when a signature leaves | signer/sign.go | s/a.err = r.pass.Check()/a.err = nil/ | ./signer | TestStandGivesUp|TestGivenUpStaysGivenUp
moves a mark behind the fence | signer/request.go | s/err := r.pass.Do(func() (err error) {/err := func(f func() error) error { return f() }(func() (err error) {/ | ./signer | TestStandGivesUp
moves the mark after the device was asked | signer/request.go | s/durable, err = s.store.Advance(\(.*\))$/durable = lazily(func() (hwm.Pending, error) { return s.store.Advance(\1) })/;$a type lazily func() (hwm.Pending, error)\nfunc (l lazily) Wait() error {\n\tp, err := l()\n\tif err != nil {\n\t\treturn err\n\t}\n\treturn p.Wait()\n} | ./signer | TestMarkMovesBeforeTheDeviceIsAsked
does not wait for those inside when it stands by | signer/role.go | s/s.gate.Drain(drain)/_ = drain/ | ./signer | TestStandDrains
changes roles without a lock | signer/role.go | s/s.roleMu.Lock()/s.roleMu.TryLock()/;s/s.roleMu.Unlock()// | ./signer | TestActivateAgainstStand
signs a caller's bytes, not its own copy | signer/admission.go | s/payload: bytes.Clone(payload)/payload: payload[:len(bytes.Clone(payload))]/ | ./signer | TestPayloadIsNotTheCallers
spends a mark for a client that has gone | signer/request.go | s/if ctx.Err() != nil {/if false {/ | ./signer | TestGoneBeforeItsTurn
resumes ECDSA after a restart | hwm/decide.go | s/case have.Fresh || curve.Deterministic():/case have.Fresh || true:/ | ./signer | TestResumeAfterARestart
takes an equal position for a new one | hwm/decide.go | s/case order > 0:/case order >= 0:/ | ./hwm | TestDecide
moves a mark as far as it is asked to | hwm/decide.go | s/case order > 0 \&\& !have.Limit.Allows(req.Level):/case order > 0 \&\& false:/ | ./hwm | TestDecideTooFar
lets a client move a mark as far as it likes | signer/request.go | s/if state.Limit, err = s.limitFor(.*); err != nil {/if err != nil {/ | ./signer | TestARequestThatIsTooFar
lets a client climb above the head | hwm/far.go | s/^\tif head != nil {/\tif head != nil \&\& len(marks) == 0 {/ | ./hwm | TestLimit
lets a clock that went backwards take levels away | hwm/far.go | s/max(0, int64(now.Sub(k.At)\/time.Second))/int64(now.Sub(k.At)\/time.Second)/ | ./hwm | TestLimit
believes a device of another chain | signer/ahead.go | s/if !limit.Allows(m.Level) {/if false {/ | ./signer | TestASpareOfAnotherChain|TestAGadgetOfAnotherChain
uses a device of another chain | signer/candidates.go | s/ \&\& !s.isStrange(d, pkh) {/ {/ | ./signer | TestASpareOfAnotherChain
believes the other instance's far marks | failover/marks/marks.go | s/if err == nil {$/if true {/ | ./failover | TestARestartTakesNoFarMarks|TestAStandbyFollowsNoFarMarks
takes a certificate with far marks | failover/accept.go | s/if err := n.checkFar(c); err != nil {/if err := n.checkFar(c); err != nil \&\& c == nil {/ | ./failover | TestACertificateWithFarMarks
hands over marks that the other side would refuse | failover/plan.go | s/if err := here.TooFar(mark); err != nil {/if err := here.TooFar(mark); err != nil \&\& false {/ | ./failover | TestACertificateWithFarMarks
puts the floor of a takeover above a mark that went far | failover/marks/marks.go | s/if limit.Allows(r.Level) {/if limit.Known() {/ | ./failover | TestATakeoverIsNotLedAway
calls a key ready that signs nothing for hours | signer/faults.go | s/!h.OK() {/false {/ | ./cmd | TestScript/far
lets an error leave the admin socket without a reason | operate/refusal.go | s/^\treturn Broken$/\treturn ""/ | ./api | TestNoErrorLeavesTheAdminSocketWithoutAReason
lets an unreadable act be refused without a reason | api/admin.go | s/, Reason: operate.BadRequest}/}/ | ./api | TestNoErrorLeavesTheAdminSocketWithoutAReason
keeps the reason of a failure from programs | cmd/root.go | s/if a.AsJSON \&\& !a.WroteJSON() {/if false {/ | ./cmd | TestScript/failover$
takes any level that an operator types | operate/raise.go | s/^\tif r.Far {$/\tif true {/ | ./api | TestErrorsThroughTheSocket
forgets ceilings | hwm/decide.go | s/have.Ceiling != nil \&\& /false \&\& have.Ceiling != nil \&\& / | ./hwm | TestDecide
takes an absent mark for one at zero | hwm/decide.go | s/return refuse(NoMark)/have.Mark = \&Mark{}/ | ./hwm | TestDecide
lowers by raising | hwm/row.go | s/if have == nil || want.Above(\*have) {/if have == nil || want.Level >= 0 {/ | ./store | TestConformance
advances without comparing | store/marks.go | s/if !mark.Above(e.mark) {/if false {/ | ./store | TestConformance
goes on after a failed commit | store/store.go | s/^\treturn db.poisoned$/\treturn nil/ | ./store | TestFailedCommitPoisons
reads an older header when the newer one is damaged | store/pages/headers.go | s/return fmt.Errorf("second header: %w", err)/second = first/ | ./store | TestRefusedFiles|TestDamagedPages
builds upon a file that another program wrote over | store/commit.go | s/if err := db.untouched(); err != nil/if err := db.inPlace(); err != nil/ | ./store | TestReplacedWhileInUse
commits to a file that has lost its name | store/commit.go | s/return db.inPlace() .*/return nil/ | ./store | TestReplacedDuringACommit
takes a transaction that is partly there | store/layout/seal.go | s/!bytes.Equal(have, want)/false/ | ./store | TestTornCommit
takes bytes for the same by a part of their digest | hwm/decide.go | s/mark.Digest != req.Digest:/[31]byte(mark.Digest[:31]) != [31]byte(req.Digest[:31]):/ | ./hwm | TestEveryBitOfADigestCounts
signs what was decided before the device was free | signer/sign.go | s/^\td, err = s.decide(r) .*/\terr = nil/ | ./signer | TestDecidedAgainWithTheTurn
leaves ceilings out of the seal | store/layout/seal.go | s/{BucketMeta, BucketMarks, BucketCeilings, BucketHorizons}/{BucketMeta, BucketMarks, BucketHorizons}/ | ./store | TestOlderRecordInPlace
leaves the role out of the seal | store/layout/seal.go | s/{BucketMeta, BucketMarks, BucketCeilings, BucketHorizons}/{BucketMarks, BucketCeilings, BucketHorizons}/ | ./store | TestOlderRecordInPlace
leaves marks out of the seal | store/layout/seal.go | s/{BucketMeta, BucketMarks, BucketCeilings, BucketHorizons}/{BucketMeta, BucketCeilings, BucketHorizons}/ | ./store | TestOlderRecordInPlace
writes a kept signature only with a mark | store/queue.go | s/db.lateTimer.Reset(.*)/_ = delay/ | ./store | TestKeptSignatures
takes a mark that is on its way for a durable one | store/queue.go | /^func (db \*DB) latest/,/^}/s/if db.next.empty() {/if true {/ | ./store | TestNothingIsDoneBeforeItIsDurable
has a role before it is durable | store/role.go | s/^\tb := db.write(db.appendJournal(entry))/\tdb.role = next\n&/ | ./store | TestNothingIsDoneBeforeItIsDurable
moves a mark that a cut-over by level did not know of | signer/request.go | s/if err = s.stillUncapped(.*); err != nil {/if false {/ | ./signer | TestDecidedBeforeACutOver
lets a signature out after a standstill | signer/sign.go | s/^\t\t\ts.awake(ctx) .*// | ./failover | TestAfterAStandstillItAsks
hides a standstill by the next beat | failover/heard/pulse.go | s/p.slept = true/p.slept = !beats/ | ./failover/heard | TestAPulse
signs after a start in an epoch of another owner | signer/signer.go | s/ \&\& r.Owner == s.store.Instance() \&\& !cfg.Hold {/ \&\& !cfg.Hold {/ | ./signer | TestAStartThatDoesNotSign
signs after a start before the other instance was asked | signer/signer.go | s/ \&\& !cfg.Hold {/ {/ | ./signer | TestAStartThatDoesNotSign
does not tell that a new protocol is near | internal/doctor/node.go | s/if p.Next.Known() {/if p.Current.Known() {/ | ./internal/doctor | TestCheckTellsOfANewProtocol
signs for another chain | signer/admission.go | s/if req.Chain != s.chain {/if false {/ | ./signer | TestPolicy
takes all for given up after one was | signer/gate/gate.go | s/return \&Pass{g, g.epoch}, nil/return \&Pass{g, 0}, nil/ | ./signer | TestGivenUpStaysGivenUp
breaks off an exchange when the budget ends | signer/ask.go | s/turn.turn.Sign(context.WithoutCancel(ctx)/turn.turn.Sign(ctx/ | ./signer | TestWhatTheDeviceIsToldOfTheBudget
asks again when nobody waits any more | signer/ask.go | s/if asked >= maxAsks || ctx.Err() != nil {/if asked >= maxAsks {/;s/again, turnErr := s.turn(ctx, r.key, r.Kind)/again, turnErr := s.turn(context.WithoutCancel(ctx), r.key, r.Kind)/ | ./signer | TestWhatTheDeviceIsToldOfTheBudget
signs after its end | signer/run.go | s/^\ts.gate.End()$/\ts.gate.Close()/ | ./signer | TestNothingIsSignedAfterTheEnd
is activated while a registration is at the device | signer/registration.go | s/s.roleMu.Lock() .*//;s/defer s.roleMu.Unlock()// | ./signer | TestNobodyActivatesDuringARegistration
knows of a release when it is durable only | signer/role.go | s/^\t\ts.gate.Between(func() { s.capped.Store(true) }) .*/\t\tdefer s.capped.Store(true)/ | ./signer | TestAKeyWithoutACeilingInTheMomentOfTheRelease
is activated without a watermark | signer/activation.go | s/if err != nil || len(missing) == 0 {/if true {/ | ./signer | TestNoActivationWithoutMarks
resumes without what the other instance knows | signer/role.go | s/if _, err := s.store.Raise(floors); err != nil {/s.gate.Open()\n\tif _, err := s.store.Raise(floors); err != nil {/ | ./signer | TestAStartThatDoesNotSign
has one lock for all kinds of a key | signer/keyring/key.go | s/k.locks\[kind\] = \&KindLock{.*/k.locks[kind] = k.locks[tezos.Block]\n\t\tif k.locks[kind] == nil {\n\t\t\tk.locks[kind] = \&KindLock{baton: make(chan struct{}, 1)}\n\t\t}/ | ./signer | TestAReplayWaitsForNoOtherKind
commits what waited behind a failed commit | store/commit.go | s/^\tif poisoned != nil {/\tif poisoned != nil \&\& len(records) > 1<<20 {/ | ./store | TestNothingIsBuiltUponAFailedCommit
lets bbolt find damaged pages | store/pages/headers.go | s/return verifyPages(f, first)/return nil/ | ./store | TestDamagedPages|TestFlippedBits
makes a file whose name is not synced | store/create.go | s/return errors.Join(os.Remove(temporary), disk.SyncDir(dir))/return os.Remove(temporary)/ | ./test/trace | TestCreationIsOnTheDisk
makes a directory whose name is not synced | store/create.go | s/range made {/range made[1:] {/ | ./test/trace | TestCreationIsOnTheDisk
makes directories above whose names are not synced | store/create.go | s/range made {/range made[:1] {/ | ./test/trace | TestCreationIsOnTheDisk
makes a file that is not synced | store/create.go | s/errors.Join(err, db.Sync(), db.Close())/errors.Join(err, db.Close())/;/^func writeNew/,/^}/s/NoFreelistSync: true,/NoSync: true, NoFreelistSync: true,/ | ./test/trace | TestCreationIsOnTheDisk
takes a block's round from its payload round | internal/tezos/payload.go | s/^\treq.Round = fit.round$/\treq.Round = fit.round\n\tif len(rest) >= contextLen+36 {\n\t\treq.Round = int32(binary.BigEndian.Uint32(rest[contextLen+32:]))\n\t}/ | ./internal/tezos | TestRoundOfABlockIsThatOfItsFitness
takes a floor for no mark | store/marks.go | s/if e, ok := db.marks\[key\]; ok {/if e, ok := db.marks[key]; ok \&\& e.mark.HasDigest {/ | ./store | TestConformance
keeps a signature under another kind | signer/request.go | s/s.store.Keep(r.mark,/s.store.Keep(r.key.Mark(s.chain, tezos.Block),/ | ./signer | TestMonotonic$
keeps the level alone of a preattestation | hwm/mark.go | s/Position: Position{req.Level, req.Round}, Digest: req.Digest/Position: Position{req.Level, req.Round * int32(min(1, req.Kind^tezos.Preattestation))}, Digest: req.Digest/ | ./signer | TestMonotonic$
overwrites a watermark file | store/create.go | s/os.Link(temporary, path)/os.Rename(temporary, path)/;s/os.Lstat(path); err == nil/os.Lstat(path); err == nil \&\& false/ | ./store | TestCreateNeverOverwrites
forgets kept signatures at the end | store/commit.go | /<-db.stop:/,/return/s/db.commit(true, true)/db.commit(false, false)/ | ./store | TestConformance|TestKeptSignatures
lets anybody ask over HTTP | api/octez.go | s/if len(o.AuthorizedKeys) == 0 {/if len(o.AuthorizedKeys) >= 0 {/ | ./api | TestAuthentication
takes an authentication for another key over HTTP | api/answers.go | s/pkh.Bytes()\.\.\.), payload/pkh.Bytes()[:1]...), payload/ | ./api | TestAuthentication
signs another BLS scheme over HTTP | api/answers.go | s/if v != "2" \&\& v != "3" {/if false {/ | ./api | TestVersions$
takes what follows the JSON value over HTTP | api/octez.go | s/json.Unmarshal(body, \&text)/json.NewDecoder(strings.NewReader(string(body))).Decode(\&text)/ | ./api | TestBadInput
signs for a web page over HTTP | api/web.go | s/case len(r.Header.Values("Origin")) > 0:/case len(r.Header.Values("Origin")) > 100:/ | ./api | TestBadInput|TestWebPagesReachNothing
answers a picture in a page elsewhere | api/web.go | s/case fromOtherSite(r):/case false:/ | ./api | TestWebPagesReachNothing
signs for another host's name over loopback | api/web.go | s/case foreignHost(r):/case false:/ | ./api | TestBadInput|TestWebPagesReachNothing|TestHostBeyondLoopback
signs what is not said to be JSON | api/octez.go | s/if !jsonBody(r) {/if false {/ | ./api | TestBadInput
feeds the watchdog by a timer | internal/daemon/systemd.go | s/defer close(came); alive()/close(came); alive()/ | ./internal/daemon | TestTheWatchdogFollowsTheProbe
lets every address in | internal/door/door.go | s/if ok \&\& p.Contains(ip) {/if ok || !p.Contains(ip) {/ | ./internal/door | TestAdmits
counts no requests of a client | internal/door/door.go | s/return l.Allow()/return l.Allow() || true/ | ./internal/door | TestAllows
takes a message with bytes behind its request | api/socket/message/request.go | s/r.err == nil \&\& len(r.rest) > 0/false/ | ./api/socket/message | TestNoRequests
signs in any BLS scheme over the socket | api/socket/conn.go | s/if m.Version != nil {/if false {/ | ./api/socket | TestRefusals
asks no client for its own signature | api/answers.go | s/if len(a.AuthorizedKeys) == 0 {/if true {/ | ./api/socket | TestAuthentication
keeps a connection open behind the last answer | api/socket/serve.go | s/^\tclose(s.ending)$// | ./api/socket | TestTheEnd
waits for a client of the socket protocol that has gone | api/socket/conn.go | s/^\t\t\tgone()$// | ./api/socket | TestAClientThatGoes
reads another protocol as its own | internal/door/listener.go | s/s := c.l.judge(p\[0\])/s := (*Stranger)(nil)/ | ./api/socket | TestOtherProtocols
writes a line for each client that is turned away | internal/door/door.go | s/if known \&\& now.Before(s.next) {/if false {/ | ./api/socket | TestOtherProtocols
gives half requests no end | internal/conns/conns.go | s/if len(c.open) >= c.most {/if false {/ | ./api | TestTheLongestSilenceGivesWay|TestAFloodOfHalfRequests
cuts a whole request for a newcomer | internal/conns/conns.go | s/if k.whole {/if false {/ | ./api | TestTheLongestSilenceGivesWay
waits for half requests at the end | api/server.go | s/^\topen.Stop()$// | ./api | TestStopCutsWhatIsNotWhole
cuts whole requests at the end | internal/conns/conns.go | s/if !k.whole {/if !k.whole || true {/ | ./api | TestStopCutsWhatIsNotWhole|TestShutdownWaits
waits for the reader of its log | internal/logqueue/queue.go | s/^\t\tq.dropped.Add(1)$/\t\tq.lines <- line/ | ./internal/logqueue | TestNobodyReads
waits for the reader of its log (2) | cmd/daemonlog.go | s/log, err := newLogger(queue, level, format)/log, err := newLogger(os.Stderr, level, format)/ | ./cmd | TestScript/unread
dies with its terminal | cmd/daemonlog.go | s/signal.Notify(signals, syscall.SIGHUP, syscall.SIGPIPE)/signal.Notify(signals, syscall.SIGPIPE)/ | ./cmd | TestScript/signals
dies of a hangup at its first moment | cmd/serve.go | /internal\/hangup/d | ./cmd | TestSIGHUPAtTheFirstMoment
dies with the reader of its log | cmd/daemonlog.go | s/signal.Notify(signals, syscall.SIGHUP, syscall.SIGPIPE)/signal.Notify(signals, syscall.SIGHUP)/ | ./cmd | TestScript/signals
logs with a change of role in hand | signer/role.go | s/s.lines.Hold()/_ = s.lines/;s/s.lines.Release()/_ = s.lines/ | ./signer | TestNothingIsLoggedUnderALock
logs with a request's lock in hand | signer/ask.go | s/r.out.Note(func() { \(s.log.Warn(.*)\) })/\1/ | ./signer | TestNothingIsLoggedUnderALock
logs with a step of the pair in hand | failover/node.go | s/n.signer.Lines().Hold()/_ = n.act.TryLock/;s/n.signer.Lines().Release()/_ = n.act.TryLock/ | ./failover | TestAStepWaitsForNoLog
logs with a step of the register in hand | register/keeper.go | s/k.cfg.Lines.Hold()/_ = k.act.TryLock/;s/k.cfg.Lines.Release()/_ = k.act.TryLock/ | ./register | TestDeadOwnerIsReplacedWithoutAPerson
takes an empty spare for a good one | signer/keyhealth.go | s/^\t\th.NoSpares = noSpares(key, devices)$/\t\th.NoSpares = noSpares(key, nil)/ | ./signer | TestASpareThatIsNone
does not note an empty spare in a checklist | failover/keys/keys.go | s/return k.NoteSpares(\(checklist.New.*\))$/return \1/ | ./failover | TestChecklistsNoteASpareThatIsNone
signs by a file on a read-only file system | store/open.go | s/^\tif lock.ReadOnly != nil {$/\tif false {/ | ./store | TestReadOnlyFromTheStart
opens a read-only file without a lock | store/disk/lock.go | s/lock, openErr := OpenFile(path, os.O_RDONLY, 0); openErr == nil/lock, _ := OpenFile(os.DevNull, os.O_RDONLY, 0); true/ | ./store | TestReadOnlyWithoutALock
logs a failed commit before those who wait are told | store/commit.go | s/^\tclose(b.done)$/\tdb.unsaid.sayAll()\n\tclose(b.done)/ | ./store | TestAFailedCommitWaitsForNoLog
logs with a lock of the signer in hand | store/unsaid.go | s/^\tu.add(unsaidLine{level, message, args})$/&\n\tu.sayAll()/ | ./store | TestNoRequestWaitsForTheLog
advises a level to be typed instead of a command that works | internal/hints/level.go | s/^\tcase node.Load():$/\tcase false:/ | ./internal/hints | TestLevel
logs a note of a device with the store in hand | store/devices.go | s/failed\[by.Device\] = err/db.log.Error("x")/ | ./store | TestNothingIsLoggedUnderTheLock
logs with the store in hand | store/failed.go | s/^\tfirst = db.poisoned == nil$/\tfirst = db.poisoned == nil\n\tdb.log.Error("commit failed")/ | ./store | TestNothingIsLoggedUnderTheLock
logs what a Ledger is asked | ledger/session.go | s/"sent", len(c.raw)/"sent", fmt.Sprintf("%x", c.raw)/ | ./api | TestNoLogShowsPayloadsOrSignatures
logs what a Ledger answers | ledger/session.go | s/"answered", len(out)/"answered", string(out), "hex", fmt.Sprintf("%x", out)/ | ./api | TestNoLogShowsPayloadsOrSignatures
fences on what does not verify | guard/sight.go | s/s.doubtful = !s.proven \&\& (alone || key.Public == nil)/s.doubtful = false \&\& alone/;s/^\ts.doubtful = !s.proven$// | ./guard | TestASightingThatDoesNotVerify|TestAKeyThatWasNeverHere
fences on what does not verify (2) | guard/instance.go | s/if f.Doubtful {/if false {/ | ./failover | TestALieOfTheNodeFencesNothing
fences on no aggregate | guard/sight.go | s/alone := .*/alone := true/ | ./guard | TestAnAggregateIsNotDoubted
is hidden a twin by a lie | guard/sight.go | s/^\t\tg.doubted = true$/\t\tg.doubted, g.alarmed = true, true/ | ./guard | TestASightingThatDoesNotVerify
watches a chain that ended hours ago | guard/guard.go | s/age > MaxHeadAge {/age > MaxHeadAge*1000 {/ | ./guard | TestAnOldHeadIsBlindness
does not verify what the device gave for a registration | signer/registration.go | s/err := verify(key, turn, key.Public().Await(payload), sig); err != nil/err := error(nil); err != nil/ | ./signer | TestAWrongSignatureOfARegistrationNeverLeaves
burns a balance as a fee | internal/tezos/registration.go | s/if fee > MaxRegistrationFee {/if false {/ | ./internal/tezos | TestDecodeRegistration
verifies a tz4 signature over no message | internal/tezos/bls_cgo.go | s/blst.HashToG2(payload, blsSignTag)/blst.HashToG2(nil, blsSignTag)/ | ./internal/tezos | TestAwait
leaves all of a verification for the end | internal/tezos/awaited.go | s/a.half <- p.prepare(payload)/a.half <- func(sig []byte) bool { return p.prepare(payload)(sig) }/ | ./internal/tezos | TestHalfIsDoneBefore
takes a BLS signature outside the subgroup | internal/tezos/bls_cgo.go | s/point == nil || !point.SigValidate(true)/point == nil/ | ./internal/tezos | TestBLSSignatureWithACofactorPartIsNone
takes a BLS key outside the subgroup | internal/tezos/bls_cgo.go | s/key == nil || !key.KeyValidate()/key == nil/ | ./internal/tezos | TestBLSKeyWithACofactorPartIsNone
finds no key behind two slashes | api/web.go | s/path, raw := squeeze(r.URL.Path), squeeze(r.URL.RawPath)/path, raw := r.URL.Path, r.URL.RawPath/ | ./api | TestOnlyOnePlaceSigns
does not tell of a client that has gone | api/answers.go | s/context.WithTimeout(ctx, budget)/context.WithTimeout(context.WithoutCancel(ctx), budget)/ | ./api | TestHowARequestEnds
proves possession to a client without a key | api/answers.go | s/if err = a.authenticate(proofAuthBytes(q.PKH, over), q.Signed); err != nil {/if false {/ | ./api | TestAuthenticatedProofs
proves possession by the authentication of another key | api/answers.go | s/q.PKH, over), q.Signed/q.PKH, nil), q.Signed/ | ./api | TestAuthenticatedProofs
waits for a proof for ever | api/answers.go | s/context.WithTimeout(ctx, a.Budget)/context.WithCancel(ctx)/ | ./api | TestHowARequestEnds
answers a refusal with 503 over HTTP | api/errors.go | s/return http.StatusConflict/return http.StatusServiceUnavailable/ | ./api | TestErrors$
waits for slow clients over HTTP | api/server.go | s/ReadTimeout: lim.Read,// | ./api | TestSlowClients
takes the socket of a busy daemon away | api/server.go | s/case errors.Is(err, syscall.ECONNREFUSED):/case err != nil, errors.Is(err, syscall.ECONNREFUSED):/ | ./api | TestASocketWithAFullQueue
does not ask for a client's certificate | internal/certs/files.go | s/tls.RequireAndVerifyClientCert/tls.RequestClientCert/ | ./api | TestTLS
takes a certificate whose files are not good | internal/certs/kept.go | s/^\tif err == nil {$/\tif true {/ | ./internal/certs | TestABrokenPairKeepsTheOldOne
takes a certificate that has ended for one that has not | internal/certs/read.go | s/; wrong != "" \&\& wrongDate/; wrong == "never" \&\& wrongDate/ | ./internal/certs | TestABrokenPairKeepsTheOldOne
warns of no certificate that begins later | internal/early/rest.go | s/case refused:/case refused \&\& false:/ | ./internal/early | TestCertificatesWithWrongDates
never reads a certificate again | internal/certs/kept.go | s/if !again \&\& !k.due(now) {/if !again {/ | ./internal/certs | TestAReplacedPairIsShown
does not look behind a link | internal/certs/kept.go | s/unix.Stat(file/unix.Lstat(file/ | ./internal/certs | TestSwappedLinks
believes any host of the register's authority | internal/certs/files.go | s/DNSName: host, // | ./internal/certs | TestAClientVerifies
believes any server of the register | internal/certs/files.go | s/^\treturn err$/\t_ = err; return nil/ | ./internal/certs | TestAClientVerifies
tells of no certificate in the status | internal/daemon/daemon.go | s/in.Admin.Certificates = d.certificateRows/_ = d.certificateRows/ | ./internal/daemon | TestCertificatesLive
takes a filter of devices for a missing udev rule | internal/usb/access.go | s/errors.Is(err, unix.EPERM)/false/ | ./internal/usb | TestAFilterOfDevices
reads nothing on SIGHUP | internal/daemon/certificates.go | s/f.Again()/_ = f/ | ./internal/daemon | TestCertificatesLive
takes null for an act on the admin socket | api/admin.go | s/if q == nil {/if q = new(Q); false {/ | ./api | TestBadActs
is ready without a watermark | signer/faults.go | s/if states\[kind\].Mark == nil {/if false {/ | ./api | TestReadiness
lets an emulated device sign for mainnet | internal/config/check.go | s/c.ChainID == tezos.Mainnet/false/ | ./internal/config | TestFaults
makes a mark from what a device says | signer/passed.go | s/^\t\tif st.Mark == nil {/\t\tif st.Mark == nil {\n\t\t\tout = append(out, passedMark{key, hwm.State{Mark: \&hwm.Mark{}}})/ | ./signer | TestReconcileMakesNoMark
takes the level of a block of ours for a quiet one | failover/moment/gap.go | s/head+int32(after+g.blocks)+1/head+int32(after+g.blocks)/ | ./failover/moment | TestGaps
raises a device over an interrupted request | hwm/room.go | s/return mark.Level - 1, mark.Level > 0/return mark.Level, true/ | ./signer | TestAnInterruptedRequestIsNotLost
takes a bundle that was changed | hwm/bundle/bundle.go | s/if !ed25519.Verify(/if false \&\& !ed25519.Verify(/ | ./hwm/bundle | TestNoByteCanBeChanged
takes Signatory's payload round for a block's | hwm/interchange/signatory.go | s/if kind == tezos.Block {/if false {/ | ./hwm/interchange | TestSignatoryBlockRoundIsAnyRound
takes an old Signatory's one mark for one kind | hwm/interchange/signatory.go | s/for _, kind := range tezos.Kinds {$/for _, kind := range tezos.Kinds[:1] {/ | ./hwm/interchange | TestSamples
exports no mark for attestations with DAL | hwm/interchange/leave.go | s/if kind == row.Kind {/if kind == row.Kind \&\& name != "attestation_with_dal" {/ | ./hwm/interchange | TestLeavingText
exports while it signs | cmd/marks/leave.go | s/case st.Role.Role == hwm.Active:/case st.Role.Role == hwm.Active \&\& st.Role.Epoch == 0:/ | ./cmd | TestScript/migrate
leaves half of an export | internal/markfiles/write.go | s/errors.Join(err, removeAll(paths\[:i\]))/errors.Join(err, removeAll(nil))/ | ./internal/markfiles | TestExportIsWholeOrNothing
believes a file that Signatory left behind | internal/markfiles/read.go | s/if newer == path || given(newer) {/if given(newer) || newer != "" {/ | ./cmd | TestScript/migrate
reads a bundle in two ways | hwm/bundle/parse.go | s/if !bytes.Equal(again, data) {/if !bytes.Equal(again, data) \&\& false {/ | ./hwm/bundle | TestRefusedFiles
takes a bundle of anybody | internal/markfiles/trust.go | s/case v.Peer != nil \&\& v.Peer.Key == b.Instance:/case v.Peer != nil, b != nil:/ | ./cmd | TestScript/bundle
makes a watermark file anew under a checklist that knows it | internal/bringup/steps.go | s/case errors.Is(err, os.ErrNotExist) \&\& b.Record.Instance != "":/case false:/ | ./cmd | TestScript/bringup$
makes a watermark file without being told to | cmd/pair/bringup.go | s/if f.yes || a.Interactive {/{/;s/createStore(ctx, cfg, f.yes)/createStore(ctx, cfg, true)/ | ./cmd | TestScript/bringup$
lets a backup leave its marks out | internal/bringup/run.go | s/ \&\& s.Skip != "" {/ {/ | ./internal/bringup | TestAStep
keeps the right to sign after a drill | cmd/pair/drillhandover.go | s/r.giveBack(context.WithoutCancel(ctx))/_ = r.giveBack/ | ./cmd | TestScript/bringup$
guard: is not told what was signed | internal/daemon/instance.go | s/^\t\t\tmemory.Observe(o)$/\t\t_ = memory/ | ./cmd | TestScript/guard
guard: does not look before the next block | internal/daemon/instance.go | s/^\t\tin.Guard.Poke()$/\t\t_ = in.Guard/ | ./internal/daemon | TestAHookThatHangs
guard: fences in an epoch that it did not look at | failover/fence.go | s/ || now.Epoch != epoch {/ {/ | ./failover | TestAFenceIsForItsEpoch
guard: fences an instance that waits for an answer | failover/fence.go | s/if r.Role == hwm.Active \&\& !n.signer.Active() {/if false {/ | ./failover | TestWhoWaitsDoesNotFence
guard: lets signatures under way leave | failover/fence.go | s/^import \(.*\)/import (\n\t"context"\n\t\1\n)/;s/Stand(givenUp(), hwm.Fenced, why)/Stand(context.Background(), hwm.Fenced, why)/ | ./failover | TestAFenceGivesUpWhatIsUnderWay
guard: takes what a dying signer left for a twin's | guard/guard.go | s/Grace = 1$/Grace = 0/ | ./failover | TestEveryWayIntoTheActiveRole
guard: sees nothing inside the margin of a takeover | guard/guard.go | s/at.Level -= min(at.Level, margin-Grace)/at.Level -= 0/ | ./failover | TestTheStatementWasFalse
guard: takes what is above our ceiling for a twin's | guard/judge.go | s/ || state.Ceiling != nil \&\& s.Place.Level > state.Ceiling.Level// | ./failover | TestEveryWayIntoTheActiveRole
guard: does not fence | guard/instance.go | s/switch fenced, err := in.Protocol.Fence(f.Epoch, f.String()); {/switch fenced, err := true, error(nil); {/ | ./failover | TestEveryWayIntoTheActiveRole
loses alarms with the process | signer/alarm.go | s/err := s.alarms.Keep(s.store.SetAlarms)/err := error(nil)/ | ./signer | TestAlarmsOutliveTheProcess
does not tell of a restored state directory | signer/ahead.go | s/^\t\ts.suspect("device .*/\t\t_ = known/ | ./signer | TestRollback
raises the host's mark to nothing that a device says | signer/passed.go | s/_, err := s.store.Raise(rows)/err := error(nil)/ | ./signer | TestReconcile
does not know that a device went backwards | signer/backwards.go | s/case now.Compare(high) >= 0:/case now.Compare(high) >= 0 || true:/ | ./signer | TestReconcileBackwards
does not see that a gadget was restarted | tezsign/driver.go | s/if wereUnlocked \&\& allLocked(all) {/if wereUnlocked \&\& false {/ | ./tezsign | TestRestartThatTheProbeFinds
undoes another program's lock | tezsign/driver.go | s/if re.Code == CodeKeyNotFound {/if true {/ | ./tezsign | TestAnotherProgramsLock
compares moved marks at the next connection only | tezsign/turn.go | s/t.err = t.compareAgain(ctx, pkh)/_ = t.compareAgain/ | ./tezsign | TestMarksThatAnotherProgramMoved
calls a file that failed ok | internal/doctor/instance.go | s/if st.Store != operate.StoreOK {/if false {/ | ./internal/doctor | TestAFailedCommitIsNotOk
gives away a file in a closed directory | store/disk/access.go | s/p := place{path: path, owner: -1, open: missing}/p := place{path: path, owner: -1, open: missing || path != ""}/ | ./store/disk | TestTheHintNames
tells of no takeover beside a dead peer | failover/plan.go | s/if r.Reason != wire.Unreachable {/if r.Reason != "" {/ | ./failover | TestAHandoverFromADeadPeer
is ready with marks at the ceiling | signer/keyfault.go | s/if c := st.Ceiling; c != nil \&\& st/if c := st.Ceiling; c != nil \&\& false \&\& st/ | ./signer | TestLevelHealth
sends an empty packet after each frame | tezsign/session.go | s/case err == nil \&\& n%s.ch.MaxPacket() == 0:/case err == nil:/ | ./tezsign | TestTransfersPerSignature
asks for the keys before each signature | tezsign/turn.go | s/|| !t.link.reconciled\[pkh\] {/|| true {/ | ./tezsign | TestTransfersPerSignature
gives an earlier process's signature for other bytes | tezsign/turn.go | s/return err == nil \&\& key.PublicKey.Verify(payload, sig) == nil/_ = sig\n\t\treturn err == nil/ | ./tezsign | TestSignatureThatAKilled
forgets what was signed with a device | signer/backwards.go | s/case now.Compare(high) >= 0:/case now.Compare(before) >= 0:/ | ./signer | TestSignedAndFallen
knows two devices of one seed as one | signer/ownmarks/device.go | s/return d.Name + "\\n" + d.ID/return d.ID/ | ./signer | TestSparePairOfOneSeed
forgets what earlier versions saw of a device | signer/backwards.go | s/return s.store.Seen(w.ID, pkh, kind)/return hwm.Position{}, false/ | ./signer | TestSeenByAnEarlierVersion
takes an older state directory for a crash | signer/ahead.go | s/int64(own)+1, nil/int64(own)+9, nil/ | ./signer | TestOnePlace
raises a device above what an interrupted request needs | signer/reconcile.go | s/lowest = min(lowest, level)/lowest = max(lowest \& 1, level)/ | ./signer | TestReconcile
forgets the ceiling of one key | signer/limits.go | s/if s.capped.Load() \&\& state.Ceiling == nil {/if false {/ | ./failover | TestAKeyWithoutACeiling
opens a file whose seal is of another transaction | store/layout/seal.go | s/body := binary.BigEndian.AppendUint64(nil, uint64(tx.ID()))/body := binary.BigEndian.AppendUint64(nil, uint64(tx.ID()\&0))/ | ./store | TestTornCommit|TestDamagedPages
takes a header whose checksum is wrong | store/pages/headers.go | s/if sum.Sum64() != binary.NativeEndian.Uint64(b\[metaSum:\]) {/if false {/ | ./store | TestRefusedFiles|TestDamagedPages|TestFlippedBits
the guard alarms for an epoch that was given away | guard/sight.go | s/if now := g.cfg.Role(); now.Role != hwm.Active || now.Epoch != g.epoch {/if false {/ | ./guard | TestNoAlarmForAnEpochThatIsOver
the guard takes an unknown encoding for a stranger's bytes | guard/judge.go | s/return !s.proven \&\& !slices.Contains(g.trusted, s.form)/return false/ | ./guard | TestAnUnknownEncoding|TestADoubleSignatureInAnAggregate
the guard trusts what no signature proves | guard/judge.go | s/return !s.proven \&\& !slices.Contains(g.trusted, s.form)/return !s.proven/ | ./guard | TestADoubleSignatureInAnAggregate
the guard forgets what failed | guard/memory.go | s/o.Decision == "refused" ||/o.Decision != "signed" ||/ | ./guard | TestAFailedAttempt
the guard takes a refusal for a signature | guard/memory.go | s/ || o.Decision == "refused" / / | ./guard | TestAFailedAttempt
the guard looks at no predecessors | guard/guard.go | s/if len(out) == CatchUp {/if len(out) == 1 {/ | ./guard | TestBlindAndSeeingAgain|TestReorganisations|TestARestart
the chain: counts a key and not its baker | internal/chain/block.go | s/ || slices.Contains(keys, s.Delegate)//;s/ || s.Delegate == key// | ./internal/chain | TestABlockShows
rights: counts a block before it is final | internal/rights/right.go | s/^const Depth = 4/const Depth = 0/ | ./internal/rights | TestAReorganisationMissesNothing
rights: takes an attestation of a later block | internal/rights/follower.go | s/after, err = r.Final(ctx, level+1, keys)/after, err = r.Final(ctx, level+2, keys)/ | ./internal/rights | TestALateAttestationIsMissed
rights: calls a right missed without the block | internal/rights/follower.go | s/out = append(out, Past{Right: right, Chain: -1})/out = append(out, Past{Right: right, Outcome: Missed})/ | ./internal/rights | TestNothingIsMissedInTheDark
the journal: forgets an act | operate/acts.go | s/^\tl.note(ctx, entry{"release".*$// | ./internal/daemon | TestEveryActIsInTheJournal
the journal: keeps a passphrase | operate/acts.go | s/c.Device + ": " + c.Verb, ""/c.Device + ": " + string(c.Args), ""/ | ./internal/daemon | TestALookIsNoAct
the journal: takes a look for an act | operate/acts.go | s/if r.DryRun {/if false {/ | ./internal/daemon | TestALookIsNoAct
missed: blames the baker for a signer that did not run | internal/missed/cause.go | s/case !within(l.runs, p.At):/case false:/ | ./internal/missed | TestASignerThatDidNotRun
missed: calls a signer stopped whose last records a power cut took | internal/missed/cause.go | s/case !within(l.runs, p.At) \&\& within(l.ends, p.At):/case false:/ | ./internal/missed | TestASignerThatDidNotRun
missed: blames the baker over a gap of the log | internal/missed/cause.go | s/case within(l.gaps, p.At):/case false:/ | ./internal/missed | TestASignerThatDidNotRun
missed: hides levels that the node does not have | internal/missed/span.go | s/notes = append(notes, fmt.Sprintf("the node has no blocks/_ = append(notes, fmt.Sprintf("the node has no blocks/ | ./internal/missed | TestSpans
missed: reads any number of levels | internal/missed/span.go | s/; levels > MaxLevels {/; levels < 0 {/ | ./internal/missed | TestASpanIsBounded
rights: asks a failing node at each head | internal/rights/follower.go | s/f.wait = min(max(2\*f.wait, firstWait), longestWait)/f.wait = 0/ | ./internal/rights | TestAFailingNodeIsLeftAlone
rights: believes one head far above the chain for good | internal/rights/follower.go | s/if f.settled > f.head {/if false {/ | ./internal/rights | TestAHeadThatLied
missed: cuts a long span of time without a word | internal/missed/span.go | s/case !h.Timestamp.Before(head.Timestamp.Add(-s.Last)):/case h.Timestamp.IsZero():/ | ./internal/missed | TestASpanIsBounded
missed: hides that a span of time begins later than asked | internal/missed/span.go | s/} else if s.Last > 0 {/} else if false {/ | ./internal/missed | TestSpans
the chain: remembers what blocks showed of other keys | internal/chain/cache.go | s/ || !slices.Equal(c.keys, keys) {/ {\n\t\t_ = slices.Equal(c.keys, keys)/ | ./internal/chain | TestBlocksAreReadOnce|TestTheCacheIsBounded
the guard looks at nothing below a mark | guard/judge.go | s/if ok \&\& complete \&\& s.Place.Compare(base) > 0 {/if false \&\& ok \&\& complete \&\& s.Place.Compare(base) > 0 {/ | ./guard | TestATwinBelowOurMark
the guard knows no bytes at a place of ours | guard/judge.go | s/^\tif len(digests) > 0 {/\tif len(digests) > 0 {\n\t\treturn ""\n\t}\n&/ | ./guard | TestADoubleSignature
the guard does not end a handover by level | guard/judge.go | s/ || state.Ceiling != nil \&\& s.Place.Level > state.Ceiling.Level {/ {/ | ./guard | TestAboveOurCeiling
the guard believes a memory that forgot | guard/memory.go | s/return digests, r.forgotten == nil || at.Compare(\*r.forgotten) > 0/return digests, true/ | ./guard | TestMemoryIsBounded
takes over beside a certificate under way | failover/evidence.go | s/case !n.harmless(a):/case false:/ | ./failover | TestNoTakeoverBesideACertificateUnderWay
takes over what was given away meanwhile | failover/takeover.go | s/if n.given.Load() != given {/if false {/ | ./failover | TestNoTakeoverWhenTheRightWentMeanwhile
gives away an epoch that is known already | failover/release.go | s/epoch := max(mine.Epoch, peer.Seen, q.Epoch) + 1/epoch := mine.Epoch + 1/ | ./failover | TestAReleaseIsAboveAllThatIsKnown
signs on in an epoch that was taken over | failover/rules.go | s/if h.Epoch > mine.Epoch \&\& mine.Owner == n.Me() \&\& .* {/if false {/ | ./failover | TestASigningOwnerThatWasTakenOverStops
takes a certificate for one that came | failover/rules.go | s/h.Epoch, h.Owner = h.Epoch-1, h.From/h.Owner = h.From/ | ./failover | TestATakenOverOwnerWaitsForItsCertificate
hides an activation behind another | failover/activate.go | s/defer n.activating.Add(-1)/defer n.activating.Store(0)/ | ./failover | TestTwoActivationsAtOneSide
activates without asking | failover/activate.go | s/if a.Signing || a.Status.Activating || newer {$/if newer \&\& false {/ | ./failover | TestBothAreActivatedAtOnce|TestTwoActivations
hands over to an instance that cannot sign | failover/plan.go | s/^\tusable := n.keys.NoteSpares(.*/\tusable := checklist.Good(checklist.Keys, "")/ | ./failover | TestNothingIsHandedToAnInstanceWithoutTheKeys
gives the right to an instance that cannot sign | failover/release.go | s/if err := fit(peer); err != nil {/if err := fit(peer); err != nil \&\& false {/ | ./failover | TestNothingIsHandedToAnInstanceWithoutTheKeys
rests a release on an old report of keys | failover/fit.go | s/n.now().Sub(last.At) > freshReport/n.now().Before(last.At)/ | ./failover | TestAnOldReport
takes a side that names no key for one that can sign | failover/keys/keys.go | s/return Lack{"is not known there".*/return Lack{}/ | ./failover | TestReportsOfOlderVersions
uses a certificate up that it cannot sign by | failover/accept.go | s/f := n.keys.Certified(c); f.Result == checklist.Bad {/f := n.keys.Certified(c); f.Result == "" {/ | ./failover | TestACertificateForKeysThatAreNotHere
takes over with a device that lacks the key | failover/keys/keys.go | s/f != nil \&\& (!f.Note || !inService) {/f != nil \&\& !f.Note \&\& !inService {/ | ./failover | TestATakeoverWantsTheKeys
asks all devices about each key | signer/keyring/look.go | s/^\tfound = append(found, l.holders\[key.PKH\]...)$/\tfor _, d := range l.byName { if d.Name() != "" \&\& Holds(d, key.PKH) { found = append(found, d) } }/ | ./signer | TestManyKeysAreNotQuadratic
copies all keys to learn one | signer/keyring/ring.go | s/:= store.KnownKey(k.PKH); ok/:= store.KnownKeys()[k.PKH]; ok/ | ./signer | TestManyKeysAreNotQuadratic
copies all keys to explain one | signer/candidates.go | s/s.store.KnownKey(key.PKH)/s.store.KnownKeys()[key.PKH]/ | ./signer | TestManyKeysAreNotQuadratic
takes a ready device for one that holds the key | signer/candidates.go | s/if s.firstUsable(candidates, key.PKH, kind) == nil {/if len(candidates) == 0 {/ | ./signer | TestAKeyThatItsDeviceDoesNotHold
ends readiness for a key that was never in service | signer/keyhealth.go | s/if f.Note \&\& inService {/if f.Note \&\& !inService {/ | ./signer | TestANewKeyIsANote
gives away from an old copy | failover/release.go | s/case q.Seen > mine.Epoch:/case false:/ | ./failover | TestAnOldCopyGivesNothingAway
resumes from an old copy | failover/oldcopy.go | s/case st.Mark != nil \&\& want.Compare(st.Mark.Position) <= 0:/case st.Mark != nil:/ | ./failover | TestARestoredCopyDoesNotSign
waits for its device when it was taken over | failover/rules.go | s/^\t\tctx = givenUp()$/\t\t_ = givenUp/ | ./failover | TestAFalseStatementGivesUpWhatIsUnderWay
waits for its device when its copy runs | failover/lives.go | s/Stand(givenUp(),/Stand(context.Background(),/ | ./failover | TestACopyGivesUpWhatIsUnderWay
takes two processes with one key for one | failover/heard/lives.go | s/return l.began <= second.from \&\& second.to <= l.alive/return false/ | ./failover/heard | TestLives
signs on when it is told of its copy | failover/lives.go | s/if mine.Role == hwm.Active \&\& mine.Epoch == epoch {/if mine.Epoch == 0 {/ | ./failover | TestACopy
lets a process begin beside another one with its key | failover/answer.go | s/if err = n.refuseBeside(q); err != nil {/if err = n.refuseBeside(q); err != nil \&\& verb == "" {/ | ./failover | TestACopyBesideTheOneThatSigns|TestSchedulesBesideACopy
spends a mark on what a device cannot take | signer/ask.go | s/^\tif !ok {/\tif !ok || true {/ | ./signer | TestLedgerRefusesBeforeTheMarkMoves
does not know an old copy by its epoch | failover/rules.go | s/^\tif a.Status.Seen > mine.Epoch {/\tif false {/ | ./failover | TestAnOldCopyIsKnownByItsEpoch
answers an old copy of the other side again | failover/release.go | s/case q.Epoch < peer.Seen:/case false:/ | ./failover | TestAnOldCopyIsKnownByItsEpoch
lifts a ceiling while its certificate is out | failover/evidence.go | s/if !r.CertificateDestroyed {/if false {/ | ./failover | TestOffline
disk: stays alive after a failed commit | internal/daemon/servedisk.go | s/^\tend(err)$/\t_ = end/ | ./internal/daemon | TestAFailedSyncEndsTheDaemon
disk: starts on one that takes nothing | internal/daemon/servedisk.go | s/^\terr := in.Store.Probe()/\terr := error(nil)/ | ./internal/daemon | TestAStartOnABrokenDisk
keeps a statement though the other side was heard | failover/rules.go | s/^\tn.stated.end() .*$// | ./failover | TestAStatementThatTimePassedBy
keeps a statement though the right moved | failover/margin.go | s/ || s.made.epoch != epoch//;s/epoch: epoch/epoch: epoch*0/ | ./failover | TestAStatementThatTimePassedBy
disk: has a file read that was replaced | internal/daemon/servedisk.go | s/errors.Is(err, disk.ErrReplaced)/errors.Is(err, disk.ErrReplaced) \&\& err == nil/ | ./cmd | TestScript/replaced
disk: ends the backup that the other instance may need | internal/daemon/servedisk.go | s/d.answersOnly() \&\& !d.untilWritable(ctx)/false/ | ./internal/daemon | TestABrokenBackupStays
disk: says that it signs when its disk failed | failover/ask.go | s/ \&\& broken == ""// | ./failover | TestNoCircle
disk: answers nothing beside one that failed | failover/disk.go | s/if verb != wire.Status || .* {/if verb != "" {/ | ./failover | TestAHealthyOwnerResumes
disk: answers as the active one when its disk failed | failover/disk.go | s/ || n.store.Role().Role == hwm.Active {/ {/ | ./failover | TestABrokenBackupThatCannotKeep
believes an epoch that jumps | failover/epochs.go | s/epoch-known <= maxJump/epoch >= known/ | ./failover | TestNoJumpOfAnEpoch
closes the gate for a succession that is forbidden | signer/role.go | s/if err := hwm.CheckSuccession(s.store.Role(), next); err != nil {/if err := error(nil); err != nil {/ | ./signer | TestAForbiddenSuccession
calls a fenced owner one that signs | failover/verdict/verdict.go | s/case p.Role == hwm.Fenced:/case false:/ | ./failover | TestBothScreensSayTheSame
sees one side only | failover/view.go | s/return verdict.Of(here, there)/return verdict.Of(here, verdict.Party{ID: there.ID})/ | ./failover | TestBothScreensSayTheSame
gives the right away before there is a file for it | cmd/pair/handover.go | s/file, err := durable.Reserve(out, maxCertificate)/file, err := (*durable.Room)(nil), error(nil)/ | ./cmd | TestScript/failover
ends alarms that nobody named | cmd/acknowledge.go | s/len(st.Alarms) > 1 \&\& !all/false/ | ./cmd | TestAlarmsEndOneByOne
takes over below the chain's head | failover/margin.go | s/t.Floor, t.Reason = level+margin,/t.Floor, t.Reason = 0*level*margin,/ | ./failover | TestTakeover$
signs above the limit of a shared right | signer/right.go | s/case req.Level > limit:/case false:/ | ./signer | TestARightBounds
signs at the floor of a shared right | signer/right.go | s/case below < 0, below == 0 \&\& v != hwm.Resume:/case below < -9:/ | ./signer | TestARightBounds
moves a mark without the shared right | signer/request.go | s/if err = s.mayNow(r.key.PKH, r.Request, v); err != nil {/if err = s.mayNow(r.key.PKH, r.Request, v); false {/ | ./signer | TestARightThatIsLostMeanwhile
does not wait for the right to reach a level | signer/request.go | s/if err == nil || ReasonOf(err) != AboveHorizon || .*/if true {/ | ./signer | TestARequestWaitsForTheRight
waits for a level that does not come | signer/right.go | s/return head == nil || .*/return true || head == nil/ | ./signer | TestNobodyWaits
goes on alone after it shared its right | internal/daemon/share.go | s/case !cfg.Shared() \&\& seen.Cluster != 0 \&\& seen.Detached == 0:/case false:/ | ./internal/daemon | TestWhoMayShare
shares the right of one of a pair | internal/daemon/share.go | s/case cfg.Shared() \&\& paired:/case cfg.Shared() \&\& paired \&\& seen.Epoch > 99:/ | ./internal/daemon | TestWhoMayShare
takes a register beside a peer | internal/config/register.go | s/if c.Peer.Listen != "" {/if false {/ | ./internal/config | TestRegisterFaults
sends the right to sign in the clear | internal/config/register.go | s/if u.Scheme == "http" \&\& .*{/if ip == nil \&\& false {/ | ./internal/config | TestRegisterFaults
adopts a record after a release without an answer | register/right.go | s/case !r.unsettled:/default:/ | ./register | TestAReleaseWithoutAnAnswer
signs under a right that is being released | register/right.go | s/if r.held == nil || r.held.fenced {/if r.held == nil {/ | ./register | TestNothingIsSignedUnderAFence
takes over from where the chain is | register/right.go | s/Floor: rec.Horizon, Horizon:/Floor: head, Horizon:/ | ./register | TestSchedules
goes on under the record of an earlier process | register/right.go | s/case rec.Owner != r.cfg.Me || rec.Life != r.cfg.Life:/case rec.Owner != r.cfg.Me:/ | ./register | TestSchedules|TestARestartedOwner
trusts a horizon that was only sent | register/right.go | s/^\t\trec, err := r.swap(ctx, h.entry, next)$/\t\tr.mu.Lock()\n\t\tr.held.record.Horizon = next.Horizon\n\t\tr.mu.Unlock()\n&/ | ./register | TestSchedules
extends without comparing the bytes | register/etcd/etcd.go | s/^\t\tclientv3.Compare(clientv3.Value(r.key), "=", string(prev.Value)),$// | ./register/etcd | TestConformance
extends without comparing the revision | register/etcd/etcd.go | s/clientv3.Compare(clientv3.ModRevision(r.key), "=", prev.ModRev))/clientv3.Compare(clientv3.ModRevision(r.key), ">", 0))/ | ./register/etcd | TestConformance
makes a record where one was deleted | register/etcd/etcd.go | s/clientv3.Compare(clientv3.CreateRevision(r.key), "=", 0))/clientv3.Compare(clientv3.CreateRevision(r.key), ">", -1))/ | ./register/etcd | TestConformance
takes another cluster for the register | register/etcd/etcd.go | s/if h.GetClusterId() != r.cluster {/if false {/ | ./register/etcd | TestAnotherClusterIsNoAnswer
believes a register of another cluster | register/right.go | s/case now.Cluster != seen.Cluster \&\& /case false \&\& / | ./register | TestARegisterThatWentBack
believes a register of a lower revision | register/right.go | s/case now.Revision < seen.Revision:/case false:/ | ./register | TestARegisterThatWentBack
believes a register of a lower epoch | register/right.go | s/case rec.Epoch < seen.Epoch:/case false:/ | ./register | TestARegisterThatWentBack
believes a register of a lower horizon | register/right.go | s/case rec.Epoch == seen.Epoch \&\& rec.Horizon < seen.Horizon:/case false:/ | ./register | TestARegisterThatWentBack
signs on by a register that went back | register/right.go | s/^\tif Denied(err) {$/\tif false {/ | ./register | TestAnOlderRegisterEndsItsOwnerToo|TestARecordThatIsGone
takes over while the owner may sign | register/keeper.go | s/case head < above(rec.Horizon, k.cfg.Policy.Priority):/case false:/ | ./register | TestARestartedOwner|TestNoFlapping
takes over from an owner that lives | register/keeper.go | s/case head < above(k.since, .*:$/case false:/ | ./register | TestAnOwnerWhoseNodeLags
takes over with a device that is locked | register/keeper.go | s/if err := k.cfg.Machine.Ready(); err != nil {/if err := k.cfg.Machine.Ready(); false \&\& err != nil {/ | ./register | TestNobodyTakesOverUnready
takes over although an operator said no | register/keeper.go | s/case k.cfg.Machine.Barred() != "":/case false:/ | ./register | TestAMachineThatIsKeptAside
follows a register that is far above the chain | register/keeper.go | s/if err := k.cfg.Machine.Near(rec.Horizon); err != nil {/if err := k.cfg.Machine.Near(0); err != nil {/ | ./register | TestAFarHorizon
moves the horizon further than it may | register/right.go | s/next.Horizon = above(head, r.cfg.Ahead)/next.Horizon = above(head, 2*r.cfg.Ahead)/ | ./register | TestOwnerFollowsTheHead
extends a horizon that it does not use | register/keeper.go | s/if !ok || !k.cfg.Machine.Signing() {/if !ok {/ | ./register | TestAnOwnerThatCannotSign
takes what was given to another machine | register/keeper.go | s/case rec.Released() \&\& rec.Next == hwm.InstanceID{}:/case rec.Released():/ | ./register | TestPlannedHandover|TestAskedFor
gives the right away without its marks | register/keeper.go | s/k.cfg.Right.Release(ctx, next, marks)/k.cfg.Right.Release(ctx, next, marks[:0])/ | ./register | TestPlannedHandover|TestAskedFor
lets a mark that was set far travel | register/right.go | s/if m.Level > own.Horizon {/if m.Level < 0 {/ | ./register | TestAMarkThatSomebodySetFar
does not know of a takeover after a standstill | register/right.go | s/r.held = newHeld(e, rec)$/_ = e/ | ./register | TestOwnerFollowsTheHead|TestSchedules
asks a machine of its own priority for the right | register/prefer.go | s/rec.Priority > k.cfg.Policy.Priority$/rec.Priority >= k.cfg.Policy.Priority/ | ./register | TestMachinesOfOnePriority
asks for the right as soon as it is back | register/prefer.go | s/^\treturn head-p.from >= p.wait()$/\treturn true/ | ./register | TestARepairedMachine|TestAnUnreadyMachine
asks for the right at once after a sleep | register/prefer.go | s/ || head-p.last > unseen {/ {/ | ./register | TestASuspendedMachine
asks for the right again and again | register/prefer.go | s/p.need = min(2\*p.wait(), mostSettled)/_ = mostSettled/ | ./register | TestAMachineThatLosesTheRight
never forgets that it lost the right | register/prefer.go | s/^\t\tp.need = settled$/\t\t_ = settled/ | ./register | TestAMachineThatLosesTheRight
calls a machine ready that lacks a key of the record | internal/bringup/shared.go | s/^\t\tcase i < 0:$/\t\tcase i < -1:/;s/case st.Keys\[i\]/case i >= 0 \&\& st.Keys[i]/ | ./internal/bringup | TestTheKeysOfTheRecord
calls itself active without the right | register/keeper.go | s/^\t\tk.endEarlier(ctx)$// | ./register | TestARestartedOwner
takes the asked right although an operator said no | register/keeper.go | s/case rec.Released() \&\& k.isWanted():/case rec.Released() \&\& (k.isWanted() || rec.Next == k.cfg.Me):/ | ./register | TestALateAnswer
asks once, and loses the question to an extension | register/right.go | s/^const askTries = 5$/const askTries = 1/ | ./register | TestAQuestionIsAskedAgain
asks with more than a question | register/right.go | s/next.Asked = r.cfg.Me$/next.Asked, next.Horizon = r.cfg.Me, next.Horizon+1/ | ./register | TestAQuestionDoesNot
asks for the right at a bad moment | register/prefer.go | s/k.cfg.Quiet(ctx) == nil$/k.cfg.Quiet != nil/ | ./register | TestNobodyAsksAtABadMoment
looks for no register before a handover | operate/shared.go | s/if !w.Alone {/if false {/ | ./api | TestAMomentOfARegister
brings the right to a machine that is not ready | operate/shared.go | s/if err := reg.Ready(); err != nil \&\& !v.Mine {/if err := reg.Ready(); err != nil \&\& false {/ | ./api | TestAMomentOfARegister
waits for a good moment although nobody signs | operate/shared.go | s/v.Owner == (hwm.InstanceID{}) {/false {/ | ./api | TestAMomentOfARegister
gives a certificate past the register | operate/pair.go | /^func (l \*Local) Release/,/^}/s/if l.Shared {/if false {/ | ./api | TestARegisterRefusesAPairsCommands
takes a certificate past the register | operate/pair.go | /^func (l \*Local) Accept/,/^}/s/if l.Shared {/if false {/ | ./api | TestARegisterRefusesAPairsCommands
gives the right after a drill to any machine | cmd/pair/drillhandover.go | s/HandoverRequest{To: \&r.holder}/HandoverRequest{}/ | ./cmd/pair | TestDrillOfARegister
kills no owner in the demo of three machines | internal/demo/three.go | s/^\t\t\t\tm.kill()$// | ./cmd | TestScript/demo$
leaves the dead machine of the demo dead | internal/demo/three.go | s/err := d.victim.start(ctx)/err := error(nil)/ | ./cmd | TestScript/demo$
leaves a register whose owner lives | cmd/pair/detach.go | s/ \&\& now.Nonce != first.Nonce {/ \&\& now.Nonce == "" {/ | ./cmd/pair | TestNobodyDetaches
goes on alone below the horizon of an owner | cmd/pair/detach.go | s/, int64(last.Horizon))/)/ | ./cmd/pair | TestDetachFloor
goes on alone below what an owner may sign ahead | cmd/pair/detach.go | s/int64(head)+int64(ahead)/int64(head)/ | ./cmd/pair | TestDetachFloor
goes on alone without a floor for a key of the record | cmd/pair/detach.go | s/range last.Marks {/range last.Marks[:0] {/ | ./cmd/pair | TestLeaveRegister
lifts a fence on the way out of a register | cmd/pair/detach.go | s/if role.Role != hwm.Fenced {/if true {/ | ./cmd/pair | TestLeaveRegister
hides a silent register from its metrics | api/gauges.go | s/ch.set(descRSil, .*/ch.set(descRSil, 0)/ | ./api | TestGaugesOfTheRegister
hides a denied right from its metrics | api/gauges.go | s/ch.set(descRDeny, .*/ch.set(descRDeny, 0)/ | ./api | TestGaugesOfTheRegister
asks for the register's permissions with a read | register/etcd/survey.go | s/clientv3.OpPut(r.key, "")/clientv3.OpGet(r.key)/ | ./register/etcd | TestASurveyTells
writes to the register in a check | register/etcd/survey.go | s/clientv3.ModRevision(r.key), "<", 0)/clientv3.ModRevision(r.key), ">", 0)/ | ./register/etcd | TestASurveyAsks
checks a register without a leader as good | internal/doctor/register.go | s/case !m.Led:/case false:/ | ./internal/doctor | TestEachMember
checks an older register as good | internal/doctor/register.go | s/register.Older(seen, e.Version, rec)/register.Older(register.Seen{}, e.Version, rec)/ | ./internal/doctor | TestTheRecordIsCompared
begins from a register that was put back | register/right.go | s/err = r.remember(e, rec)$/_ = r.remember/ | ./register | TestKeeperSchedules
gives the right away below its own floors | register/right.go | s/Marks: merge(floors, marks),/Marks: marks,/ | ./register | TestAReleaseKeepsTheFloors
begins at the marks of an owner that may live | register/right.go | s/if !rec.Released() { \/\/ nobody knows/if false { \/\/ nobody knows/ | ./register | TestKeeperSchedules
owns the right and signs nothing after a late answer | register/keeper.go | s/case owner \&\& !k.begun:/case owner \&\& !k.begun \&\& false:/ | ./register | TestALateAcquisitionBefore
begins by a late answer although an operator said no | register/keeper.go | s/why := k.cfg.Machine.Barred()/why := ""/ | ./register | TestALateAcquisitionOfAMachine
begins under the fence of its release | register/keeper.go | s/if k.cfg.Right.Fenced() {/if false {/ | ./register | TestAReleaseWithoutItsMarks
takes back what another machine has taken | register/acts.go | s/if r.Released() || r.Owner == k.cfg.Me {/if r.Nonce != "" {/ | ./register | TestOnlyAReleasedRight
calls its own refusal a silence of the register | register/acts.go | s/if refused != nil {/if refused != nil \&\& err == nil {/ | ./register | TestOnlyAReleasedRight|TestATakeoverRefusedHere
lets the trouble of a full register begin anew | register/keeper.go | s/defer k.silentSince(silent)/_ = silent/ | ./register | TestARegisterThatRefusesWrites
takes over before it has heard its owner | register/keeper.go | s/; ok \&\& now != k.moved {/; now != k.moved {/ | ./register | TestAStandbyWithoutAHead
waits two minutes for a member that is back | register/etcd/link.go | s/grpc.WithConnectParams(.*/grpc.EmptyDialOption{},/ | ./register/etcd | TestAMemberIsDialledSoonAgain
hides why a member does not answer | register/etcd/link.go | s/; fault != nil {/; fault != nil \&\& false {/ | ./register/etcd | TestTheCauseOfASilence
calls a refusal a silence | register/etcd/fault.go | s/case Full(err):/case false:/ | ./register/etcd | TestARefusalSaysWhatToDo
cannot make the first record after a lost answer | cmd/pair/register.go | s/want.Nonce = rec.Nonce; err/err/ | ./cmd/pair | TestTheFirstRecord
takes any record for its own first record | cmd/pair/register.go | s/\&\& !created \&\& !reflect/\&\& !created \&\& false \&\& !reflect/ | ./cmd/pair | TestTheFirstRecord
takes its own late write for another's | register/etcd/etcd.go | s/return now, bytes.Equal(now.Value, next), nil/return now, bytes.Equal(now.Value, nil), nil/ | ./register/etcd | TestAWriteThatWasApplied
reads the register of the past | register/etcd/etcd.go | s/c.Get(ctx, r.key); err/c.Get(ctx, r.key, clientv3.WithSerializable()); err/ | ./register/etcd | TestEachReadIsLinearizable
signs by a record that it would forget | register/right.go | s/return r.cfg.Memory.SetSeen(next)/_ = r.cfg.Memory.SetSeen(next)\n\treturn nil/ | ./register | TestNothingIsSignedBeforeItIs
extends after a release without an answer | register/right.go | s/r.held, r.unsettled, r.closing = nil, true, want/r.unsettled, r.closing = true, want/ | ./register | TestAReleaseWithoutAnAnswer
loses the exact marks of a release | register/right.go | s/^\tfor _, m := range rec.Marks {$/\tfor _, m := range rec.Marks[:0] {/ | ./register | TestTheNextOwnerBegins
signs by the record of another chain | register/right.go | s/if err == nil \&\& rec.Chain != r.cfg.Chain {/if false {/ | ./register | TestARecordOfAnotherChain
reads a record with fields of a later version | register/record.go | s/dec.DisallowUnknownFields()/_ = dec/ | ./register | TestParseRefuses
believes a horizon below its floor | register/record.go | s/r.Horizon < r.Floor || /false || / | ./register | TestParseRefuses
makes a first record in the place of a lost record | cmd/pair/register.go | s/if seen.Cluster == 0 || seen.Detached != 0 {/if seen.Epoch > 0 || seen.Cluster == 0 {/ | ./cmd/pair | TestALostRecordIsNoFreshStart
hides that a certificate has ended | register/etcd/tls.go | s/time.Now().After(end)/time.Now().After(end.AddDate(9, 0, 0))/ | ./register/etcd | TestACertificateThatEnds
reads the wrong kind from an old file of octez-baker | hwm/interchange/foreign.go | s/"endorsements":    tezos.Attestation,/"endorsements":    tezos.Preattestation,/ | ./hwm/interchange | TestBakerOfNairobi
believes a changed audit record | internal/audit/chain.go | s/if !bytes.Equal(link\[:checkLen\], check) {/if !bytes.Equal(check, check) {/ | ./internal/audit | TestTampering
does not see an audit file that was exchanged | internal/audit/verify.go | s/case h.Before != want.link:/case false:/ | ./internal/audit | TestTampering
does not see that the oldest audit file is gone | internal/audit/verify.go | s/if r.First > r.removed+1 {/if r.First > 1<<40 {/ | ./internal/audit | TestTampering
believes an audit log that was written anew | internal/audit/verify.go | s/if k.Link != s.link {/if k.Record == 0 {/ | ./internal/audit | TestAKnownEnd
does not compare a known head of the audit log | internal/audit/verify.go | s/if k.Link != s.link {/if false {/ | ./internal/audit | TestAKnownEnd
tells an audit head that a power cut may take back | internal/audit/log.go | s/err = w.io.sync(w.file)/err = nil/ | ./internal/audit | TestAToldHeadIsDurable
removes an audit file without a durable word | internal/audit/trim.go | s/if err = w.flush(); err == nil {/for _, f := range old { _ = w.io.remove(f.path) }; if err = w.flush(); err == nil {/ | ./internal/audit | TestACutRotationAccusesNobody
calls the zeros of a power cut tampering | internal/audit/chain.go | s/all-written >= checkLen {/all < 0 {/ | ./internal/audit | TestAPowerCutIsNoTampering
calls any end of an audit log a power cut | internal/audit/chain.go | s/if written < lengthLen+1+maxBody \&\& all-written >= checkLen {/if written < 1<<40 {/ | ./internal/audit | TestAPowerCutIsNoTampering
tells an audit head that is not on the disk | internal/audit/head.go | s/if err := w.io.sync(w.file); err != nil {/if err := error(nil); err != nil {/ | ./internal/audit | TestNoHead
releases without the head of the audit log | failover/release.go | s/^\treturn n.auditHead(ctx)$/\treturn nil/ | ./failover | TestAReleaseCarriesTheHead
releases the right in a register without the head of the audit log | register/right.go | s/life := lifeOf(r.ownHead(ctx))/life := lifeOf(nil)/ | ./register | TestAReleaseTellsTheHead
hears no head in a release of a register | register/head.go | s/^\t\tr.cfg.Heard(heard)$/\t\t_ = heard/ | ./register | TestAReleaseTellsTheHead
forgets the head of a release that was lost | register/right.go | s/want.Marks, want.Life/want.Marks, ""/ | ./register | TestALostReleaseKeepsItsHead
writes a record with a head that earlier builds refuse | register/head.go | s/base64.RawURLEncoding.EncodeToString(h.Link\[:\])/h.Link/ | ./register | TestEarlierBuildsReadAHead
notes no head of the audit log in the journal | operate/acts.go | s/return strings.TrimPrefix(what+"; audit head "+h.String(), "; ")/return what/ | ./internal/daemon | TestATakeoverNotesTheHead
hears no head in an imported bundle | operate/acts.go | s/^\t\t\t\tl.Heard(b)$/\t\t\t\t_ = b/ | ./internal/daemon | TestAnImportKeepsTheHeadOfABundle
lets a request wait for the audit log | internal/audit/log.go | s/^\tdefault:$/\tcase l.queue <- \&e:/ | ./internal/audit | TestTellNeverWaits
says nothing of a lost audit record | internal/audit/writer.go | s/if n := w.full.Swap(0); n > 0 {/if n := w.full.Swap(0); n > 1<<40 {/ | ./internal/audit | TestTellNeverWaits
lets the audit log fill the disk | internal/audit/writer.go | s/if err == nil \&\& left < reserve {/if err == nil \&\& left == 0 {/ | ./internal/audit | TestAFullDisk
keeps an audit log without a bound | internal/audit/trim.go | s/for ; total > w.cfg.MaxSize \&\& len(files) > 1;/for ; total < 0;/ | ./internal/audit | TestRotationKeepsTheBound
lets a flood push the audit log out | internal/audit/writer.go | s/return q.counts\[share\] <= perMinute/return true/ | ./internal/audit | TestAFloodFillsNothing
throws the torn end of the audit log away | internal/audit/open.go | s/err := w.setAside(last.file, last.at, aside)/err := os.Truncate(last.path, last.at)/ | ./internal/audit | TestATornEndIsKeptAside
calls a kill an end in order, in the audit log | internal/audit/open.go | s/case !last.inOrder \&\& !w.began:/case false:/ | ./internal/audit | TestARunThatDidNotEndIsNamed
lets others read the audit log | internal/audit/writer.go | s/fileMode = 0o600/fileMode = 0o644/ | ./internal/audit | TestOnlyItsUserReadsTheLog
counts a failure from its first one on | api/metrics.go | s/^\t\t\tm.failures.WithLabelValues(reason, kind.String())$/\t\t\t_, _ = reason, kind/ | ./api | TestFailuresCountFromTheStart
tells the audit log nothing | internal/daemon/instance.go | s/^\t\t\tlog.Tell(decisionOf(o))$/\t\t\t_ = decisionOf(o)/ | ./cmd | TestScript/audit
gives strangers the room of keys in the audit log | internal/daemon/audit.go | s/case signer.UnknownKey, signer.WrongChain/case signer.WrongChain/ | ./internal/daemon | TestDecisionOfAnOutcome
lets a request wait for the early warnings | internal/early/run.go | /case w.queue <- e:/,/}/s/^\tdefault:$/\tcase w.queue <- e:/ | ./internal/early | TestNothingWaits
warns of marks above an old head | internal/early/rest.go | s/ \&\& now.Sub(head.At) < freshHead$// | ./internal/early | TestAWeekIsQuiet/standby
warns of a link that breaks for a moment | internal/early/judge.go | s/NotFollowing: 2 \* time.Minute,/NotFollowing: 0,/ | ./internal/early | TestAWeekIsQuiet/standby
warns of a certificate that lives for a day | internal/early/rest.go | s/min(certificateSoon, life\/4)/certificateSoon/ | ./internal/early | TestAWeekIsQuiet/Nano_S_Plus
forgets the levels before one with many requests | internal/early/run.go | s/return u.is == e.level })$/return false })/ | ./internal/early | TestManyKeysHideNoLevel
adds up the resets of days | internal/early/devices.go | s/reconnectSpan = time.Hour/reconnectSpan = 168 * time.Hour/ | ./internal/early | TestAWeekIsQuiet/standby
blames the baker for rights of another time | internal/early/rights.go | s/case !r.Ours:/case false:/ | ./internal/early | TestRightsOfAnotherTime
calls a baker silent whose rights are on chain | internal/early/rights.go | s/case r.Asked, !r.Missed:/case r.Asked:/ | ./internal/early | TestRightsOnChainAreNotSilent
calls a node silent after a sleep of the machine | internal/early/judge.go | s/, NodeSilent: 30 \* time.Second,/,/ | ./internal/early | TestASleepOfTheMachineIsNoSilentNode
does not hear that nobody asks | internal/early/rights.go | s/^\t\t\tk.silent++$// | ./internal/early | TestEachFaultIsSaid
forgets that a trouble can end | internal/early/judge.go | s/^\t\tc.stands = false$// | ./internal/early | TestEachFaultIsSaid
lets a request wait for the history | internal/history/history.go | s/^\tdefault:$/\tcase h.queue <- r:/ | ./internal/history | TestTellNeverWaits
keeps the history of strangers | internal/daemon/history.go | s/, signer.UnknownKey, signer.WrongChain:/, signer.WrongChain:/ | ./internal/daemon | TestHistoryOfOutcomes
keeps the history of any number of keys | internal/history/history.go | s/if len(h.series) < maxSeries {/if true {/ | ./internal/history | TestTheMemoryIsBounded
makes a large page each second | api/events.go | s/max(l.every\*9\/10, time.Duration(l.rest)\*end.Sub(begin))/l.every*9\/10/ | ./api | TestALargePageIsMadeLessOften
opens any number of pages | api/events.go | s/if l.listeners.Add(1) > maxListeners {/if l.listeners.Add(1) < 0 {/ | ./api | TestOpenPagesAreBounded
waits for a page that does not read | api/events.go | s/time.Now().Add(l.within)/time.Time{}/ | ./api | TestASlowReaderIsDropped
lets an open page hold up the end | api/server.go | s/srv.RegisterOnShutdown(s.Stop)/_ = s/ | ./api | TestOpenPagesEndWithTheListener
tells another address's page of the status | api/events.go | s/ \&\& site != "same-origin" {/ \&\& site == "nowhere" {/ | ./api | TestEventsAreForTheOwnPage
lets any script run on the page | api/page.go | s/script-src 'self'/script-src */ | ./api | TestThePagesPolicy
leaves the reader of the keyboard behind | cmd/top/run.go | s/context.AfterFunc(ctx, p.Quit)/context.AfterFunc(ctx, p.Kill)/ | ./cmd/top | TestTheTerminalIsRestored
hides a fault of the screen | cmd/top/run.go | s/return errors.Join(err, fault)/return err/ | ./cmd/top | TestTheTerminalIsRestored
hides the step of an alarm on the page | api/status.html | s/<p><strong>What to do:<.strong> {{.Hint}}<.p>$// | ./api | TestPageInEveryState
asks for the rights of many keys at once | internal/rights/follower.go | s/rowsAtOnce, fewestLevels = 1024/rowsAtOnce, fewestLevels = 1<<20/ | ./internal/rights | TestManyKeysAreAskedForFewLevels
forgets the rights that nobody asked for | internal/history/read.go | s/names = append(names, n)$/_ = n/ | ./internal/history | TestMissedRightsAreMarked
lets a restart fall on a right | operate/rights.go | s/to.Sub(from) < PauseWanted/to.Sub(from) < 0/ | ./operate | TestMayIRestart
tells the rights of an old head | operate/plan.go | s/!p.known || p.version != version/!p.known/ | ./operate | TestAPlanIsReadOncePerHead
calls a healthy backup not ready | operate/glance/state.go | s/^\tcase resting(st):/\tcase false:/ | ./api | TestPageInEveryState
END
}

# commands SCRIPT: its commands, one a line. A ; within a command's text splits nothing: what follows it does not begin like a command.
commands() { sed -E 's#([/}g]);([s/$])#\1\n\2#g' <<<"$1"; }

# break_file FILE SCRIPT: the broken file. It fails if a command changes nothing, and names the command.
break_file() {
  local command before after
  after=$(<"$1")
  while IFS= read -r command; do
    before=$after
    after=$(sed -- "$command" <<<"$before") || return
    [ "$before" != "$after" ] || { printf 'nothing is changed by %s\n' "$command" >&2; return 1; }
  done < <(commands "$2")
  printf '%s\n' "$after"
}

# check NAME | FILE | SED SCRIPT | PACKAGE | TESTS tells what is wrong with a line, without a test.
check() {
  local name file script package tests why
  IFS=$'\x1f' read -r name file script package tests <<<"${1// | /$'\x1f'}"
  if [ ! -f "$file" ]; then
    printf 'NOFILE %s: there is no %s\n' "$name" "$file"
  elif ! why=$(break_file "$file" "$script" 2>&1 >/dev/null); then
    printf 'NOCHANGE %s: %s: %s\n' "$name" "$file" "$why"
  elif [ ! -d "$package" ] || [ -z "$tests" ]; then
    printf 'NOPKG %s: %s names no package and test\n' "$name" "$package $tests"
  else
    return 0
  fi
  return 1
}

# one NAME | FILE | SED SCRIPT | PACKAGE | TESTS breaks one promise and prints what came of it; it fails if nobody noticed.
one() {
  local name file script package tests at
  IFS=$'\x1f' read -r name file script package tests <<<"${1// | /$'\x1f'}"
  at=$(mktemp -d "$scratch/XXXXXX")
  printf '{"Replace": {"%s": "%s"}}\n' "$PWD/$file" "$at/mutant.go" >"$at/overlay.json"
  # GOFLAGS are for what the tests build, too. Compiling and linking is most of the time: nobody debugs the result, and inlining makes it dearer.
  export GOFLAGS="-overlay=$at/overlay.json -ldflags=-w -gcflags=highwater/...=-l"
  if ! { break_file "$file" "$script" >"$at/mutant.go" && go test -c -vet=off -o "$at/mutant.test" "$package"; } >"$at/log" 2>&1; then
    printf 'BROKEN    %s: a command changes nothing, or the result does not compile\n' "$name"
    cat "$at/log"
  elif (cd "$package" && "$at/mutant.test" -test.failfast -test.timeout 120s -test.run "$tests") >"$at/log" 2>&1; then
    printf 'SURVIVED  %s: %s in %s passes\n' "$name" "$tests" "$package"
  else
    printf 'killed    %3d s  %s: %s\n' "$SECONDS" "$name" "$(grep -oE '^(--- FAIL: \w+|panic: [^(]{1,60})' "$at/log" | head -3 | tr '\n' ' ')"
    rm -rf "$at"
    return
  fi
  rm -rf "$at"
  return 1
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export scratch
export -f one commands break_file
chosen=$(mutants | grep -F -- "${ONLY:-}" || true)
[ -n "$chosen" ] || { printf 'error: no broken promise is called %s\n' "${ONLY:-}" >&2; exit 1; }
if [ -n "${CHECK:-}" ]; then
  rotted=0
  while IFS= read -r line; do check "$line" || rotted=$((rotted + 1)); done <<<"$chosen"
  [ "$rotted" -eq 0 ] || { printf 'error: %d lines of scripts/mutate.sh break nothing any more\n' "$rotted" >&2; exit 1; }
  exit
fi
if ! tr '\n' '\0' <<<"$chosen" | xargs -0 -n 1 -P $(($(nproc) + 1)) bash -c 'one "$0"'; then
  echo 'error: not all broken promises were noticed' >&2
  exit 1
fi
printf 'all %d broken promises were noticed\n' "$(wc -l <<<"$chosen")"
