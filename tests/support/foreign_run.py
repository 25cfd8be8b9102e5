"""The one run that other tools write: what is said in it, and what it is read as.

system     You help.
user       What is the weather in Oslo?
assistant  I look.  (thinking: Oslo is in Norway.)   weather {"city": "Oslo"}   clock {}
tool       Rain.    Noon.
assistant  It rains at noon.                                                    reward 0.5
"""

from __future__ import annotations

from w2stree import Message, Step, ToolCall
from w2stree.trajectories.tool_call import action_of

SYSTEM, TASK = "You help.", "What is the weather in Oslo?"
SAID, THOUGHT, ANSWER = "I look.", "Oslo is in Norway.", "It rains at noon."
RAIN, NOON = "Rain.", "Noon."
REWARD = 0.5

PROMPT = (Message("system", SYSTEM), Message("user", TASK))
CALLS = (ToolCall("weather", '{"city": "Oslo"}', "c1", RAIN), ToolCall("clock", "{}", "c2", NOON))
STEPS = (
    Step(action_of(CALLS), f"{RAIN}\n{NOON}", SAID, tool_calls=CALLS),
    Step(ANSWER, "", ANSWER),
)
"""What every format makes of it; where it has sampled ids, with these too."""
