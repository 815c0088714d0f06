# What the pages and the mail of the gate say in English. A file of the same name in the directory that
# `[web.public] templates` names says it otherwise; a new name adds a language. No markup: it would be shown as text.

## On several pages

unsubscribe-title = Unsubscribe
left-title = You are unsubscribed
done-heading = Done
leave-everything = No more advertising from { $sender } at all
service-goes-on = You will still receive what you ask for yourself: orders, invoices, passwords.
on-its-way = A message already on its way may still arrive. You can close this page.
contacts-intro = To reach the sender:
contacts-privacy = your data

## A link from a message

ask-heading = Stop receiving these messages?
ask-intro = This link was in a message from { $sender } addressed to you. Nothing changes until you choose below.
ask-about = The message was about:
ask-leave-topics = Unsubscribe me from these topics
ask-again = You signed up again on { $day }, after this message was sent. Do you want to leave that too?
ask-not-mine-intro = You never gave { $sender } this address?
ask-not-mine = This is not my address

## What was left

done-everything = You will receive no more advertising from { $sender }.
done-topics = You will receive no more messages from { $sender } about:
done-address = The message was addressed to { $address }.
done-not-mine = { $sender } learns that this address is not that of its customer. Until that is put right, messages about orders or bills may still arrive.

## A link that names nobody

no-link-heading = This link does not work
no-link-text = It may be incomplete: nothing has changed. Open it from the original message, or use the “Unsubscribe” button of your mail program. If that does not help, write to the sender, who has to honour your wish.

## A store that does not answer

unavailable-title = Try again in a few minutes
unavailable-heading = Your wish has not been recorded yet
unavailable-text = The service is unavailable for a moment. Please try the same link again in a few minutes: it stays valid.

## The fixed address

me-heading = Stop receiving advertising
me-intro = This link does not say who you are. Enter the address that receives these messages: a code is sent there, and then you choose what to leave.
me-address = Your e-mail address
me-send-code = Send me a code
me-button-too = The “Unsubscribe” button that your mail program shows above the message works too, without a code.
me-problem-no-address = This is no address: write it like “name@example.org”.
me-problem-too-often = Too many codes have been asked for. Use the last one you received, or try again later.
me-problem-not-sent = The code could not be sent and nothing has changed. Try again in a few minutes, or write to the sender.
me-problem-wrong-code = This is not the code. Attempts left: { $attempts }.
me-problem-code-is-over = This code is no longer valid and nothing has changed. Ask for a new one.
me-problem-nothing-chosen = Tick at least one box: nothing has changed.
me-code-title = Your code
me-code-heading = Enter the code you received
me-code-intro = If the address exists, a message with a six-digit code arrives there within minutes. It is valid for 15 minutes. Nothing has changed so far.
me-code = Six-digit code
me-code-go-on = Continue
me-code-none = Nothing received? Check the address and ask for another code.
me-choice-heading = What do you want to leave?
me-choice-intro = Nothing changes until you choose one of the buttons below.
me-choice-everything = All advertising from { $sender }
me-choice-already-left = { $label } (already left)
me-choice-leave = Leave what is ticked
me-choice-leave-all = Leave everything
me-left-intro = You will no longer receive:
me-left-everything = any advertising from { $sender }
me-left-topic = { $topic } – { $sender }

## The mail that carries a code

code-subject = Your unsubscribe code
code-text =
    Hello,

    your unsubscribe code:

        { $code }

    Enter it within 15 minutes on the page where you asked for it:
    { $page }

    You did not ask for anything? Then there is nothing to do: without this code
    nothing changes. Do not pass it on to anybody.

## The way back, for whose message was forwarded

back-title = Undo the unsubscription
back-heading = Was it not you?
back-intro = On { $day } a link in a message to { $address } was used to unsubscribe from { $sender }. If that was not you, you can take it back:
back-button = Take the unsubscription back
back-no-more = Then everything is as it was before, and no more than that. If you did want to leave, there is nothing to do.
back-done = The unsubscription from { $sender } is taken back. Everything is as it was before.
back-mail-subject = You were unsubscribed from { $sender }
back-mail-text =
    Hello,

    a link in a message to you was used to unsubscribe you from { $sender }.
    If that was you, there is nothing to do.

    If you had passed the message on and somebody else used the link, you can take
    it back within 30 days:
    { $link }
