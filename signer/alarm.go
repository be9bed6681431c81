package signer

import "highwater/hwm"

// AlarmName says what kind of alarm it is.
type AlarmName = hwm.AlarmName

// The alarms.
const (
	// AlarmRollback: somebody knows of signatures above a mark that this instance made itself, in an earlier run: the state
	// directory may be an older copy of itself.
	AlarmRollback AlarmName = "rollback"
	// AlarmElsewhere: the same, but no older copy explains it: this very process made the mark, or the device is new here.
	AlarmElsewhere AlarmName = "elsewhere"
	// AlarmBackwards: a device's own mark is lower than it was.
	AlarmBackwards AlarmName = "backwards"
	// AlarmOtherChain: a device's own mark is further ahead than anything on our chain can be. It is not believed.
	AlarmOtherChain AlarmName = "other_chain"
	// AlarmTwin: the guard saw on chain what a key of ours signed and this instance did not; it fenced itself.
	AlarmTwin AlarmName = "twin"
	// AlarmUnproven: the node shows such a thing, and its signature does not verify; nothing was fenced.
	AlarmUnproven AlarmName = "unproven"
	// AlarmBothActive: both instances of a pair were signing in one epoch; both fenced themselves.
	AlarmBothActive AlarmName = "both_active"
	// AlarmSameKey: two processes run with the key of one instance of a pair, one on a copy of the other's state directory.
	AlarmSameKey AlarmName = "same_key"
	// AlarmDisk: a commit to the watermark file failed; nothing is signed until a restart.
	AlarmDisk AlarmName = "disk"
)

// AlarmNames lists them.
var AlarmNames = []AlarmName{AlarmRollback, AlarmElsewhere, AlarmBackwards, AlarmOtherChain, AlarmTwin, AlarmUnproven, AlarmBothActive, AlarmSameKey, AlarmDisk}

// Alarm is something that an operator should look into. It keeps nobody from signing: where that is needed there is a fence beside it. It
// stays, also over a restart, until it is acknowledged.
type Alarm = hwm.Alarm
